"""The part of the configuration that is about the P2P client of this node, Dragonfly.

p2p:
  generation: v2_rust              # each key: where it is not to be found out
  config: /etc/dragonfly/dfdaemon.yaml
  address: 127.0.0.1:4001          # where the runtime is pointed at
  service: dfdaemon.service        # or restart: [docker, restart, dfclient]
  piece_timeout: 600s              # what raise_p2p_timeout writes
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from watchdog.config_around import read_service
from watchdog.core.dragonfly import Generation
from watchdog.yamlfile import Value

_ADDRESS = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}:\d{1,5}")


@dataclass(frozen=True)
class P2pConfig:
    """What the operator says of it; None or empty is found out, the usual unit included."""

    generation: Optional[Generation] = None
    config: Optional[Path] = None
    address: Optional[str] = None
    service: Optional[str] = None
    restart: Tuple[str, ...] = ()
    piece_timeout: str = "600s"


def read_p2p(value: Value) -> Optional[P2pConfig]:
    """The section; None for `off`: it is not looked for."""
    if value.is_off():
        return None
    section = value.section(tuple(_READERS))
    if "service" in section and "restart" in section:
        raise section["restart"].wrong("it has a service or a restart command: remove one of the two")
    said: Dict[str, Any] = {key: _READERS[key](one) for key, one in section.items()}
    return replace(P2pConfig(), **said)


def _address(value: Value) -> str:
    found = value.scalar('an address of this machine such as "127.0.0.1:65001"')
    if not _ADDRESS.fullmatch(found):
        raise value.wrong(f'{value.name} cannot be "{found}": write ADDRESS:PORT such as 127.0.0.1:65001')
    return found


def _timeout(value: Value) -> str:
    """In seconds: a form that all generations read alike."""
    return f"{value.duration_ns() // 10**9}s"


_READERS: Mapping[str, Callable[[Value], Any]] = {
    "generation": lambda value: value.choice(Generation),
    "config": Value.absolute_path,
    "address": _address,
    "service": read_service,
    "restart": Value.words,
    "piece_timeout": _timeout,
}
