"""The part of the configuration that is about what lies around the runtimes: other logs, Harbors.

logs:
  - {name: kubelet, journal: kubelet.service}
  - {name: nginx, file: /var/log/nginx/error.log}
  - {name: dfdaemon, container: dfdaemon}
harbor: ["https://harbor.example"]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Tuple
from urllib.parse import urlsplit

from watchdog.yamlfile import Value

_PLACES = ("journal", "file", "container")


@dataclass(frozen=True)
class LogConfig:
    """A log to follow; one of the places is given: a unit, an absolute path, a container's name."""

    name: str
    journal: str = ""
    file: str = ""
    container: str = ""

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        if self.journal:
            return f"journal of {self.journal}"
        return f"container {self.container}" if self.container else self.file


def read_logs(value: Value) -> Tuple[LogConfig, ...]:
    """The logs to follow beside the runtimes' own; `off` for none."""
    if value.is_off():
        return ()
    found: Dict[str, LogConfig] = {}
    for one in value.items():
        log = _log(one)
        if log.name in found:
            raise one.wrong(f'two logs are named "{log.name}": give each its own name')
        found[log.name] = log
    return tuple(found.values())


def _log(value: Value) -> LogConfig:
    section = value.section(("name", *_PLACES))
    given = [place for place in _PLACES if place in section]
    if len(given) != 1 or "name" not in section:
        raise value.wrong(f"{value.name} needs a name, and one of {', '.join(_PLACES)}")
    name, place = read_name(section["name"]), given[0]
    if place == "journal":
        return LogConfig(name, journal=read_service(section["journal"]))
    if place == "file":
        return LogConfig(name, file=str(section["file"].absolute_path()))
    return LogConfig(name, container=read_name(section["container"]))


def read_harbors(value: Value) -> Tuple[str, ...]:
    """The Harbors whose health is asked for: scheme and host, without a path or a user."""
    return tuple(_harbor(one) for one in value.items())


def _harbor(value: Value) -> str:
    found = value.text("an address such as https://harbor.example").rstrip("/")
    parts = urlsplit(found)
    plain = parts.scheme in ("http", "https") and found == f"{parts.scheme}://{parts.netloc}"
    if not plain or not re.fullmatch(r"[\w.-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?", parts.netloc):
        raise value.wrong(f'{value.name} cannot be "{found}": write https://HOST, without user and path')
    return found


def read_name(value: Value) -> str:
    """A name of the operator's choice."""
    found = value.text("a name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", found):
        raise value.wrong(f'{value.name} cannot be "{found}": use letters, digits, dots, dashes')
    return found


def read_service(value: Value) -> str:
    """A systemd unit."""
    found = value.text("a systemd unit such as docker.service")
    if not re.fullmatch(r"[A-Za-z0-9:_.@\\-]+\.service", found):
        raise value.wrong(
            f'{value.name} cannot be "{found}": write the whole unit name, such as docker.service'
        )
    return found
