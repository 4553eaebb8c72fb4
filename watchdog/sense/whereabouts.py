"""Which process is the runtime, found without D-Bus.

Law: it is the process that holds the listening socket open.  systemd holds an
activated socket too, but is nobody's runtime; to connect to such a socket
would start a runtime that is switched off, so that is not done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Optional

from watchdog.core.observation import ProcessKey
from watchdog.errors import ProcessGone, Unavailable
from watchdog.host import cgroup, proc, unix_sockets
from watchdog.host.docker import ApiError, DockerApi
from watchdog.host.proc import PROC, Process

RUNTIME_NAMES = frozenset({"dockerd", "dockerd-current", "podman", "docker"})
_ACTIVATORS = frozenset({"systemd", "init"})


class Whereabouts:
    """The runtime behind one socket."""

    def __init__(
        self, path: str, service: Optional[str] = None, pidfile: Optional[Path] = None, root: str = PROC
    ) -> None:
        self._path = path
        self._service = service
        self._pidfile = pidfile
        self._root = root
        self._hierarchies = cgroup.find_hierarchies(root)
        self._searched_for: Optional[int] = None  # the listening socket that nobody was found for

    def find(self) -> Optional[ProcessKey]:
        """The runtime's process, or None while there is none.

        Raises Unavailable or Deadline where the host's sockets cannot be listed.
        """
        inode = unix_sockets.listener(self._path)
        if inode is None:
            return self._in_other_namespace()
        for pid in self._candidates(inode):
            key = self._key_if_holder(pid, inode)
            if key is not None:
                self._searched_for = None
                return key
        self._searched_for = inode
        return None

    def still(self, key: ProcessKey) -> bool:
        """Whether that process is the runtime still.  Raises as `find` does."""
        inode = unix_sockets.listener(self._path)
        found = self._in_other_namespace() if inode is None else self._key_if_holder(key.pid, inode)
        return found == key

    def _in_other_namespace(self) -> Optional[ProcessKey]:
        """Who listens on a socket that is not of our network namespace, as a nested runtime's is.

        Asked by connecting, which starts nobody: systemd's sockets are of ours.
        """
        try:
            pid = DockerApi(self._path).peer_pid()
            return proc.identify(pid, self._root) if pid > 1 else None
        except (ApiError, ProcessGone):
            return None

    def _candidates(self, inode: int) -> Iterator[int]:
        """The likely ones first.  All processes are gone through once for each listening socket."""
        yield from self._named_by_pidfile()
        if self._service is not None:
            yield from cgroup.pids_of_service(self._service, self._hierarchies)
        others = []
        for pid in proc.pids(self._root):
            if self._comm(pid) in RUNTIME_NAMES:
                yield pid
            else:
                others.append(pid)
        if inode != self._searched_for:
            yield from others

    def _named_by_pidfile(self) -> Iterator[int]:
        if self._pidfile is None:
            return
        try:
            yield int(self._pidfile.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return  # not there yet, or half written

    def _comm(self, pid: int) -> str:
        try:
            with Process(pid, self._root) as process:
                return process.seen.comm
        except ProcessGone:
            return ""

    def _key_if_holder(self, pid: int, inode: int) -> Optional[ProcessKey]:
        try:
            with Process(pid, self._root) as process:
                if pid == 1 or process.seen.comm in _ACTIVATORS or process.seen.state in proc.ENDED_STATES:
                    return None
                return process.key if unix_sockets.holds(process, inode) else None
        except (ProcessGone, Unavailable):
            return None
