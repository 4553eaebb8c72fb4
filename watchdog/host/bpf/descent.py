"""All living processes at one moment, and who descends from whom.

Law: one pass over /proc/PID/stat, which never waits for a process.  Zombies
count as dead.
"""

from __future__ import annotations

import os
import time
from typing import Collection, Dict, Iterator, List, Mapping

from watchdog.host import proc
from watchdog.host.proc import Stat

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_DEAD = ("Z", "X")

Table = Dict[int, Stat]


def living(root: str = proc.PROC) -> Table:
    """Every living process that can be seen, by pid."""
    return {pid: stat for pid, stat in _all(root) if stat.state not in _DEAD}


def descendants(table: Mapping[int, Stat], roots: Collection[int], leaves: Collection[str] = ()) -> List[int]:
    """Everybody below the roots, parents before their children.

    Nobody below a process whose name is in `leaves` is followed; the process
    itself is there.  A root is always followed.
    """
    below = _by_parent(table)
    found: List[int] = []
    frontier = [pid for pid in roots if pid in table]
    while frontier:
        children = [child for pid in frontier for child in below.get(pid, ()) if child not in roots]
        found += children
        frontier = [child for child in children if table[child].comm not in leaves]
    return found


def born_ns(stat: Stat) -> int:
    """When the process was born, as CLOCK_MONOTONIC; to the clock tick (10 ms)."""
    slept_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return stat.start_ticks * _TICK_NS - slept_ns


def _all(root: str) -> Iterator[tuple[int, Stat]]:
    for pid in proc.pids(root):
        try:
            with open(f"{root}/{pid}/stat", "rb", buffering=0) as file:
                yield pid, proc.parse_stat(file.read())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is hidden from us


def _by_parent(table: Mapping[int, Stat]) -> Dict[int, List[int]]:
    below: Dict[int, List[int]] = {}
    for pid, stat in table.items():
        below.setdefault(stat.parent_pid, []).append(pid)
    return below
