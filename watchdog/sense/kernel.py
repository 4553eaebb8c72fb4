"""Births, deaths, signals and TCP life of the runtimes' process trees, as observations.

Owns the event engine.  Law: attach first, then seed, so that nobody is born
unseen in between; when events were lost, /proc is asked what they were, and
it is said that they were lost.

What /proc tells afterwards becomes ordinary events: a birth with the true time
of birth, a death with the time at which it was noticed.
"""

from __future__ import annotations

import time
from typing import Collection, Dict, Iterator, List, Optional, Set

from watchdog.core.observation import Observation, ProcessEvent, SensorState
from watchdog.host.bpf import Engine, Event, Opened, descent
from watchdog.host.bpf.descent import Table

NAME = "kernel"

# Whoever executes one of these is a client of a runtime.
CLIENTS = ("docker",)
# Below these live containers, whose processes are not ours to follow.
CONTAINER_KEEPERS = ("containerd", "containerd-shim", "runc", "crun", "buildkit-runc")

_RESYNC_PAUSE_NS = 1_000_000_000  # a pass over /proc costs milliseconds
_MOST_BATCHES = 64  # to empty the ring before a look into /proc; a storm refills it
_MOST_PASSES = 5  # over /proc, until nobody new is found
_BIRTH_SLACK_NS = 50_000_000  # /proc tells births to the clock tick


class KernelSensor:
    """Takes over the engine and closes it.  Not for several threads at once."""

    def __init__(self, opened: Opened, clients: Collection[str] = CLIENTS) -> None:
        self._engine = opened.engine
        self._clients = clients
        self._runtimes: Set[int] = set()
        self._born_ns: Dict[int, int] = {}  # whom we believe alive, and since when
        self.dropped = opened.engine.dropped()
        self._compared_ns = 0  # when /proc was asked last
        self._waiting: List[Observation] = [SensorState(NAME, True, opened.describe())]
        for comm in clients:
            self._engine.watch_command(comm)
        for comm in CONTAINER_KEEPERS:
            self._engine.end_lineage_at(comm)

    @property
    def engine(self) -> Engine:
        return self._engine

    def fileno(self) -> Optional[int]:
        """Readable when read() has something; None: call it now and then."""
        return self._engine.fileno()

    def runtime_changed(self, pid: int) -> None:
        """A runtime is this process now.  Whoever lives below it comes with the next read()."""
        self._runtimes.add(pid)
        self._waiting += [*self._empty_ring(), *self._compare_with_proc()]

    def read(self) -> List[Observation]:
        """What happened since the last time; never waits.  Call it every few seconds at least."""
        dropped = self._engine.dropped()  # before the events: a later loss shows next time
        waiting, self._waiting = self._waiting, []
        observations: List[Observation] = [*waiting, *self._news(self._engine.read())]
        if dropped != self.dropped and time.monotonic_ns() - self._compared_ns >= _RESYNC_PAUSE_NS:
            observations += self._resync(dropped)
        return observations

    def close(self) -> None:
        self._engine.close()

    def _resync(self, dropped: int) -> List[Observation]:
        lost, self.dropped = dropped - self.dropped, dropped
        told = [*self._empty_ring(), *self._compare_with_proc()]
        return [*told, SensorState(NAME, True, f"{lost} events lost; resynced from /proc")]

    def _empty_ring(self) -> List[Observation]:
        """What the engine still has to say comes before what /proc says."""
        news: List[Observation] = []
        for _ in range(_MOST_BATCHES):
            events = self._engine.read()
            if not events:
                break
            news += self._news(events)
        return news

    def _news(self, events: List[Event]) -> Iterator[Event]:
        return (event for event in events if not isinstance(event, ProcessEvent) or self._believe(event))

    def _believe(self, event: ProcessEvent) -> bool:
        """Keep track of who lives.  False when /proc has told us this before the engine did."""
        if event.what == "exit":
            self._runtimes.discard(event.pid)
            return self._born_ns.pop(event.pid, None) is not None
        if event.what == "fork":
            if event.pid in self._born_ns and event.at_ns <= self._compared_ns:
                return False
            self._born_ns[event.pid] = event.at_ns
        if event.what == "exec":
            self._born_ns.setdefault(event.pid, event.at_ns)
        return True

    def _compare_with_proc(self) -> List[Observation]:
        """Tell deaths and births that were not told, and have all who live watched.

        Whoever was found in one pass may have given birth before we watched
        it, so there is another pass until nobody new is found.
        """
        told: List[Observation] = []
        watched: Set[int] = set()
        for _ in range(_MOST_PASSES):
            table = descent.living()
            told += self._deaths(table)
            fresh = [pid for pid in self._members(table) if pid not in watched]
            if not fresh:
                break
            told += self._births(fresh, table)
            watched.update(fresh)
        self._compared_ns = time.monotonic_ns()
        return told

    def _deaths(self, table: Table) -> Iterator[ProcessEvent]:
        for pid in self._runtimes - table.keys():
            self._runtimes.discard(pid)
            self._engine.unwatch(pid)
        for pid, born_ns in list(self._born_ns.items()):
            if pid not in table or descent.born_ns(table[pid]) > born_ns + _BIRTH_SLACK_NS:
                del self._born_ns[pid]
                self._engine.unwatch(pid)
                yield ProcessEvent(time.monotonic_ns(), "exit", pid)

    def _births(self, pids: List[int], table: Table) -> List[Observation]:
        told: List[Observation] = []
        refused = 0
        for pid in pids:
            keeper = table[pid].comm in CONTAINER_KEEPERS and pid not in self._runtimes
            refused += not self._engine.watch(pid, follow=not keeper)
            if pid not in self._born_ns:
                self._born_ns[pid] = descent.born_ns(table[pid])
                told += self._birth(pid, table)
        if refused:
            told.append(SensorState(NAME, True, f"{refused} processes are not watched: the list is full"))
        return told

    def _members(self, table: Table) -> List[int]:
        """Whom we ought to watch, parents before children: runtimes, clients, known ones, all below."""
        known = {pid for pid in self._born_ns if pid in table and table[pid].comm not in CONTAINER_KEEPERS}
        clients = {pid for pid, stat in table.items() if stat.comm in self._clients}
        roots = self._runtimes | known | clients
        return [*roots, *descent.descendants(table, roots, CONTAINER_KEEPERS)]

    def _birth(self, pid: int, table: Table) -> Iterator[ProcessEvent]:
        """What the engine would have told.  Nothing for a runtime: its own sensor knows it."""
        if pid in self._runtimes:
            return
        stat = table[pid]
        parent = table.get(stat.parent_pid)
        inherited = parent.comm if parent else ""
        yield ProcessEvent(self._born_ns[pid], "fork", pid, stat.parent_pid, inherited)
        if stat.comm != inherited:
            yield ProcessEvent(time.monotonic_ns(), "exec", pid, comm=stat.comm)
