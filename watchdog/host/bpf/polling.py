"""The polling engine: looks into /proc now and then.  Always works.

Sees births, changed names and deaths, a poll late; a process that lives
shorter than a poll is not seen at all.  Children that a process had already
when it was watched count as births: /proc cannot tell to better than 10 ms.
"""

from __future__ import annotations

import time
from typing import Dict, FrozenSet, Iterator, List, Optional

from watchdog.core.observation import ProcessEvent
from watchdog.errors import ProcessGone
from watchdog.host.bpf import descent
from watchdog.host.bpf.descent import Table
from watchdog.host.bpf.engine import Event, Sees
from watchdog.host.bpf.lineage import Lineage
from watchdog.host.proc import Process

NAME = "polling"
_SEES = frozenset((Sees.FORK, Sees.EXEC, Sees.EXIT))


class Polling:
    """`interval_s`: read() looks no more often than this."""

    name = NAME
    sees: FrozenSet[Sees] = _SEES

    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_ns = int(interval_s * 1e9)
        self._next_look_ns = 0
        self._lineage = Lineage()
        self._start_ticks: Dict[int, int] = {}

    def fileno(self) -> Optional[int]:
        return None

    def watch(self, pid: int, follow: bool = True) -> bool:
        try:
            with Process(pid) as process:
                self._lineage.join(pid, process.stat().comm, time.monotonic_ns(), follow)
                self._start_ticks[pid] = process.key.start_ticks
        except ProcessGone:
            self._forget(pid)
        return True

    def unwatch(self, pid: int) -> None:
        self._forget(pid)

    def watch_command(self, comm: str) -> bool:
        self._lineage.commands.add(comm)
        return True

    def end_lineage_at(self, comm: str) -> bool:
        self._lineage.leaves.add(comm)
        return True

    def read(self) -> List[Event]:
        now_ns = time.monotonic_ns()
        if now_ns < self._next_look_ns:
            return []
        self._next_look_ns = now_ns + self._interval_ns
        table = descent.living()
        return [*self._deaths(table, now_ns), *self._births(table, now_ns), *self._execs(table, now_ns)]

    def dropped(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def _deaths(self, table: Table, now_ns: int) -> Iterator[Event]:
        for pid in list(self._lineage.members):
            if pid not in table or table[pid].start_ticks != self._start_ticks[pid]:
                yield ProcessEvent(now_ns, "exit", pid, comm=self._forget(pid))

    def _births(self, table: Table, now_ns: int) -> Iterator[Event]:
        lineage = self._lineage
        for pid in descent.descendants(table, set(lineage.members), lineage.leaves):
            stat = table[pid]
            member = lineage.born(stat.parent_pid, pid, now_ns)
            if member:
                self._start_ticks[pid] = stat.start_ticks
                yield ProcessEvent(descent.born_ns(stat), "fork", pid, stat.parent_pid, member.comm)

    def _execs(self, table: Table, now_ns: int) -> Iterator[Event]:
        """A name that changed, or that a command rule waits for."""
        for pid, stat in table.items():
            known = self._lineage.members.get(pid)
            if stat.comm != known.comm if known else stat.comm in self._lineage.commands:
                self._lineage.executed(pid, stat.comm, now_ns)
                self._start_ticks[pid] = stat.start_ticks
                yield ProcessEvent(now_ns, "exec", pid, comm=stat.comm)

    def _forget(self, pid: int) -> str:
        """The name that the process had."""
        self._start_ticks.pop(pid, None)
        member = self._lineage.leave(pid)
        return member.comm if member else ""
