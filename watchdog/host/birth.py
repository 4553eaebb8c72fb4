"""What a process was started with: its arguments and its environment; and when that was.

Law: read once for each process, with a deadline.  Both lie in the memory of
the process itself, and a stuck task's memory lock can hold the reader for
as long as the task is stuck.
"""

from __future__ import annotations

import os
import time
from typing import Dict, Tuple

from watchdog.core.observation import ProcessKey
from watchdog.host import deadline
from watchdog.host.proc import PROC, open_process

_DEADLINE_S = 1.0


def arguments(key: ProcessKey, root: str = PROC, deadline_s: float = _DEADLINE_S) -> Tuple[str, ...]:
    """Its argv, cut at 64 KiB; empty for zombies and kernel threads.

    Raises ProcessGone, Unavailable or Deadline.
    """
    return tuple(_strings(key, "cmdline", root, deadline_s))


def environment(key: ProcessKey, root: str = PROC, deadline_s: float = _DEADLINE_S) -> Dict[str, str]:
    """Its environment at its start, cut at 64 KiB.  Raises as `arguments` does."""
    pairs = (text.partition("=") for text in _strings(key, "environ", root, deadline_s))
    return {name: value for name, separator, value in pairs if separator}


def started_wall_ns(key: ProcessKey) -> int:
    """The end of the clock tick in which it was born: before that no program has read a file yet."""
    ticks_ns = 10**9 // os.sysconf("SC_CLK_TCK")
    ago_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - (key.start_ticks + 1) * ticks_ns
    return time.time_ns() - ago_ns


def _strings(key: ProcessKey, name: str, root: str, deadline_s: float) -> Tuple[str, ...]:
    def read() -> bytes:
        with open_process(key, root) as process:
            return process.read(name)

    text = deadline.within(deadline_s, f"{name} of process {key.pid}", read)
    return tuple(part.decode("utf-8", "replace") for part in text.rstrip(b"\0").split(b"\0") if text)
