"""The runtime's own process, found anew and held for the length of an action.

Law: an incident's word is not enough.  The process that it names as the
runtime must be the one that the machine names now: as the unit's main process,
in the pidfile, or behind the socket.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from watchdog.act import systemctl
from watchdog.act.identity import Subject, check_file, held
from watchdog.act.settings import ActSettings
from watchdog.core.observation import ProcessKey, ProcessSample
from watchdog.errors import Refused, Unavailable, WatchdogError
from watchdog.host import proc
from watchdog.host.docker import DockerApi


@contextmanager
def held_runtime(settings: ActSettings, sample: Optional[ProcessSample]) -> Iterator[Subject]:
    """Hold the runtime that an incident was seen under.

    Refused when another process is the runtime by now, or when nothing on the
    machine confirms that it is this one.
    """
    if sample is None:
        raise Refused("the incident does not say which process is the runtime")
    with held(sample.key) as subject:
        check_file(subject, sample)
        named = named_pid(settings)
        if named is None:
            raise Refused(
                f"nothing confirms that process {sample.key.pid} is the runtime {settings.runtime.name}"
            )
        if named != sample.key.pid:
            raise Refused(f"process {named} is the runtime {settings.runtime.name} now; {sample.key.pid} was")
        yield subject


def current_key(settings: ActSettings) -> Optional[ProcessKey]:
    """The runtime's process as the machine names it now; None when it names none."""
    pid = named_pid(settings)
    return proc.identify(pid) if pid is not None else None


def named_pid(settings: ActSettings) -> Optional[int]:
    """The runtime's pid: of the unit, else from the pidfile, else of who listens on the socket."""
    for ask in (_of_unit, _of_pidfile, _of_socket):
        pid = ask(settings)
        if pid is not None and Path(f"/proc/{pid}").exists():
            return pid
    return None


def _of_unit(settings: ActSettings) -> Optional[int]:
    if settings.runtime.service is None:
        return None
    try:
        pid = int(systemctl.show(settings.runtime.service, "MainPID").get("MainPID", "0"))
    except (Unavailable, ValueError):
        return None  # no systemd here: the other two ways remain
    return pid or None


def _of_pidfile(settings: ActSettings) -> Optional[int]:
    if settings.runtime.pidfile is None:
        return None
    try:
        return int(settings.runtime.pidfile.read_text())
    except (OSError, ValueError):
        return None


def _of_socket(settings: ActSettings) -> Optional[int]:
    """Who listens; systemd, which holds an activated socket, is nobody's runtime."""
    if settings.socket_path is None:
        return None
    try:
        pid = DockerApi(settings.socket_path).peer_pid()
    except WatchdogError:
        return None
    return pid if pid > 1 else None
