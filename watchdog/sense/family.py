"""The runtime's children that take part in an extraction, their descendants, and its orphans.

Law: descent is what counts, not a name alone.  An operator's own unpigz is
nobody's here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Iterable, Iterator, List, Optional, Set, Tuple

from watchdog.core.observation import ProcessKey
from watchdog.errors import ProcessGone, Unavailable
from watchdog.host import cgroup, proc
from watchdog.host.proc import PROC, Process
from watchdog.sense.roles import DECOMPRESSORS, Kind, Role, Roles

_MOST_MEMBERS = 32  # of one stage; a wrapper of a wrapper has three
_INIT_PID = 1
_OF_SERVICES = ("", "name=systemd")  # version 2, and systemd's own of version 1


@dataclass(frozen=True)
class Child:
    """A living child of the runtime that has become a program of its own."""

    key: ProcessKey
    role: Role


class Family:
    """The processes around one runtime.  Remembers the decompressors that were its own."""

    def __init__(self, root: str = PROC) -> None:
        self._root = root
        self._roles = Roles(root)
        self._ours: Set[ProcessKey] = set()

    def adopt(self, daemon: ProcessKey) -> None:
        """Take in what an earlier daemon left: decompressors under init in the runtime's own control group.

        Looks at every process of the host; once for each daemon.
        """
        with proc.open_process(daemon, self._root) as process:
            own = _groups(process)
        for process in self._living(proc.pids(self._root)):
            seen = process.seen
            if seen.comm in DECOMPRESSORS and seen.parent_pid == _INIT_PID and own & _groups(process):
                self.subtree(process.key)

    def children(self, daemon: ProcessKey) -> List[Child]:
        """The runtime's children, in the order of their pids.  Raises ProcessGone, Unavailable.

        Those known from before are asked for by number as well: the kernel may
        leave a child out of its list while another one ends.
        """
        with proc.open_process(daemon, self._root) as process:
            own_comm = process.seen.comm
            pids = {*process.children(), *(key.pid for key in self._ours)}
        found = [
            Child(process.key, self._roles.of(process.key, process.seen.comm))
            for process in self._living(sorted(pids))
            # With the daemon's own name it is forked, and not yet what it will be.
            if process.seen.parent_pid == daemon.pid and process.seen.comm != own_comm
        ]
        self._roles.keep_only([child.key for child in found])
        self._ours.update(child.key for child in found if child.role.kind is Kind.DECOMPRESSOR)
        return found

    def subtree(self, top: ProcessKey) -> List[ProcessKey]:
        """A process and its living descendants, each behind its parent; their decompressors are ours."""
        members = [top]
        for member in members:
            try:
                with proc.open_process(member, self._root) as process:
                    children = process.children()
            except ProcessGone:
                continue
            members += [one.key for one in self._living(children) if one.seen.parent_pid == member.pid]
            if len(members) > _MOST_MEMBERS:
                break
        self._ours.update(self._decompressors_among(members))
        return members[:_MOST_MEMBERS]

    def orphans(self, daemon: Optional[ProcessKey], members: Collection[ProcessKey]) -> List[ProcessKey]:
        """Decompressors that were the runtime's and that nobody waits for now."""
        alive = {process.key: process.seen for process in self._living(sorted(key.pid for key in self._ours))}
        self._ours &= set(alive)
        return [
            key
            for key in sorted(self._ours)
            if key not in members and (daemon is None or alive[key].parent_pid != daemon.pid)
        ]

    def _decompressors_among(self, keys: Collection[ProcessKey]) -> Iterator[ProcessKey]:
        living = self._living(key.pid for key in keys)
        return (process.key for process in living if process.seen.comm in DECOMPRESSORS)

    def _living(self, pids: Iterable[int]) -> Iterator[Process]:
        """Those that exist and are no zombies, each open for as long as it is looked at."""
        for pid in pids:
            try:
                opened = Process(pid, self._root)
            except ProcessGone:
                continue
            with opened as process:
                if process.seen.state not in proc.ENDED_STATES:
                    yield process


def _groups(process: Process) -> Set[Tuple[str, str]]:
    """Where a process is in the hierarchies that tell services apart; not the root, which holds everybody."""
    try:
        groups = cgroup.membership(process)
    except (ProcessGone, Unavailable):
        return set()
    return {(name, groups[name]) for name in _OF_SERVICES if groups.get(name, "/") != "/"}
