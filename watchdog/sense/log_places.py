"""Where the logs are that we follow: a unit's journal, a file, a container of docker's.

Law: without a word from the operator only those are followed that are certainly
about images: the runtimes' own, and the kubelet's, containerd's and Dragonfly's where systemd runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Optional, Protocol, Sequence, Tuple

from watchdog.config import RuntimeConfig
from watchdog.config_around import LogConfig
from watchdog.errors import Unavailable
from watchdog.host.journal import Journal
from watchdog.host.logfile import LogFile
from watchdog.sense.container_log import ContainerLog

JOURNAL = "journal"

_BOOTED = "run/systemd/system"  # where this is, systemd is the system's manager
_UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_USUAL = ("kubelet", "containerd", "dfdaemon")
_GO_DAEMON = LogConfig("dfget-daemon", file="/var/log/dragonfly/daemon/core.log")  # its journal is empty


class Follower(Protocol):
    """A log that is read from where one was.  `read` may wait for a disk; it raises Unavailable."""

    skipped_bytes: int

    def read(self) -> List[str]:
        """Some of the lines that have come; none: that were all."""

    def cursor(self) -> str:
        """Where to go on after a restart of ours."""


def usual_logs(root: Path = Path("/")) -> Tuple[LogConfig, ...]:
    """The logs that are followed when the operator names none."""
    if not (root / _BOOTED).is_dir():
        return ()
    usual = (*(LogConfig(name, journal=f"{name}.service") for name in _USUAL), _GO_DAEMON)
    return tuple(one for one in usual if _has_unit(root, f"{one.name}.service"))


def follower_of(log: LogConfig, cursor: str, sockets: Callable[[], Sequence[str]]) -> Follower:
    """A log that the operator named.  `sockets`: those of the runtimes that are known to run."""
    if log.container:
        return ContainerLog(log.container, sockets, cursor)
    return Journal(log.journal, cursor) if log.journal else LogFile(Path(log.file or ""), cursor)


def runtimes_own(runtime: RuntimeConfig, cursor: str) -> Optional[Follower]:
    """The runtime's own log; None where it is not to be followed."""
    if runtime.log != JOURNAL:
        return LogFile(Path(runtime.log), cursor) if runtime.log else None
    return Journal(runtime.service, cursor) if runtime.service else _Nowhere()


class _Nowhere:
    """The journal of a runtime that is no unit."""

    skipped_bytes = 0

    def read(self) -> List[str]:
        raise Unavailable("the journal needs the name of the runtime's service")

    def cursor(self) -> str:
        return ""


def _has_unit(root: Path, unit: str) -> bool:
    return any((root / directory / unit).is_file() for directory in _UNIT_DIRECTORIES)
