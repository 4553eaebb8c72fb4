"""One look at what a runtime moves over the network: its connections and its download files.

Law: connections and files are looked at in the same moment, because a file is
told to be fed by a connection when both grow alike.  A look waits for nobody;
it is only worth its cost while a pull is active.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Tuple

from watchdog.core.observation import (
    ConnectionSample,
    Observation,
    ProcessKey,
    TransferScan,
)
from watchdog.errors import WatchdogError
from watchdog.host import blobs, proc, tcp
from watchdog.host.proc import PROC
from watchdog.sense.health import Health

_Name = Tuple[int, Optional[int]]


class TransferSensor:
    """The transfers of one runtime.

    `follow` may be called from any thread, everything else from one only.
    """

    def __init__(self, runtime: str, root: str = PROC) -> None:
        self._runtime = runtime
        self._root = root
        self._health = Health(f"transfer.{runtime}")
        self._daemon: Optional[ProcessKey] = None
        self._first_seen_ns: Dict[_Name, int] = {}

    def follow(self, daemon: Optional[ProcessKey]) -> None:
        """This process is the runtime from now on; None: there is none."""
        self._daemon = daemon

    def read(self, now_ns: int) -> List[Observation]:
        """One scan; none while the runtime cannot be looked into."""
        daemon = self._daemon
        if daemon is None:
            return []
        try:
            with proc.open_process(daemon, self._root) as process:
                files = blobs.download_files(process)
                seen = tcp.look(process)
        except WatchdogError as error:
            return self._health.down(str(error))
        connections = tuple(self._timed(one, now_ns) for one in seen.opened)
        self._forget(connections)
        scan = TransferScan(self._runtime, daemon, connections, files, seen.complete)
        return [*self._health.up(), scan]

    def _timed(self, one: ConnectionSample, now_ns: int) -> ConnectionSample:
        """Before a connection's first byte the kernel knows no silence: it is timed from our first sight."""
        first_ns = self._first_seen_ns.setdefault(_name(one), now_ns)
        if one.silent_ns is not None or one.received_bytes is None:
            return one
        return replace(one, silent_ns=now_ns - first_ns)

    def _forget(self, connections: Tuple[ConnectionSample, ...]) -> None:
        there = {_name(one) for one in connections}
        self._first_seen_ns = {name: at for name, at in self._first_seen_ns.items() if name in there}


def _name(one: ConnectionSample) -> _Name:
    return one.inode, one.cookie
