"""The runtime's own process, found anew and held for the length of an action.

Law: an incident's word is not enough.  The process that it names as the
runtime must be the one that holds the listening socket now.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, List, Optional

from watchdog.act.identity import Subject, check_file, held
from watchdog.act.settings import ActSettings
from watchdog.core.observation import ProcessKey, ProcessSample
from watchdog.errors import ProcessGone, Refused, Unavailable
from watchdog.host import proc, unix_sockets
from watchdog.host.proc import Process

_INIT = 1  # systemd holds an activated socket too, and is nobody's runtime


@contextmanager
def held_runtime(settings: ActSettings, sample: Optional[ProcessSample]) -> Iterator[Subject]:
    """Hold the runtime that an incident was seen under; Refused when it is not the runtime any more."""
    if sample is None:
        raise Refused("the incident does not say which process is the runtime")
    if sample.key.pid == _INIT:  # everything on the host descends from it
        raise Refused("the incident names the host's first process as the runtime")
    with held(sample.key) as subject:
        check_file(subject, sample)
        inode = _listener(settings)
        if inode is None or not unix_sockets.holds(subject.process, inode):
            raise Refused(f"process {sample.key.pid} does not listen on {settings.runtime.socket} any more")
        yield subject


def current_key(settings: ActSettings) -> Optional[ProcessKey]:
    """The process that holds the runtime's listening socket now; None without one."""
    inode = _listener(settings)
    holders = [key for key in _holders(inode) if key.pid != _INIT] if inode is not None else []
    oldest_first = sorted(holders, key=lambda key: (key.start_ticks, key.pid))
    return oldest_first[0] if oldest_first else None


def _listener(settings: ActSettings) -> Optional[int]:
    if settings.socket_path is None:
        raise Refused(f"{settings.runtime.socket} is not on this host")
    return unix_sockets.listener(settings.socket_path)


def _holders(inode: int) -> List[ProcessKey]:
    """Every process that has that socket open: the runtime, and children that have not closed it yet."""
    found = []
    for pid in proc.pids():
        try:
            with Process(pid) as process:
                if unix_sockets.holds(process, inode):
                    found.append(process.key)
        except (ProcessGone, Unavailable):
            continue
    return found
