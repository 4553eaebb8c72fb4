"""A ProcessSample: one process at one moment, put together from /proc, its pipes and its group.

Law: nothing waited for, nothing kept open.
"""

from __future__ import annotations

from typing import Optional, Tuple

from watchdog.core.observation import PipeEnd, ProcessKey, ProcessSample
from watchdog.errors import ProcessGone, Unavailable
from watchdog.host import cgroup, pipes
from watchdog.host.cgroup import Hierarchies
from watchdog.host.proc import PROC, Process, Status, open_process, parse_status

_STDIN, _STDOUT = 0, 1


def sample_stage(key: ProcessKey, hierarchies: Hierarchies, root: str = PROC) -> ProcessSample:
    """A member of an extraction pipeline, with the waits of its threads and its two pipes.

    Raises ProcessGone, and Unavailable where we may not look at all.
    """
    with open_process(key, root) as process:
        states, waits = process.states_and_waits()
        return _sample(
            process, hierarchies, states, waits, pipes.look(process, _STDIN), pipes.look(process, _STDOUT)
        )


def sample_daemon(key: ProcessKey, hierarchies: Hierarchies, root: str = PROC) -> ProcessSample:
    """The runtime itself: the states of its threads, but neither their waits nor pipes.

    It has dozens of threads, and its pipe ends do not block: neither would tell
    anything.  Raises as `sample_stage`.
    """
    with open_process(key, root) as process:
        return _sample(process, hierarchies, process.states(), (), None, None)


def _sample(
    process: Process,
    hierarchies: Hierarchies,
    states: str,
    waits: Tuple[str, ...],
    stdin: Optional[PipeEnd],
    stdout: Optional[PipeEnd],
) -> ProcessSample:
    stat, status = process.stat(), process.status()
    counters = process.io()
    return ProcessSample(
        key=process.key,
        parent_pid=stat.parent_pid,
        comm=stat.comm,
        exe=process.exe(),
        states=states,
        waits=waits,
        read_bytes=counters.read_bytes,
        written_bytes=counters.written_bytes,
        cpu_ticks=stat.cpu_ticks,
        switches=status.switches,
        tracer_pid=status.tracer_pid or (_tracer_of_a_thread(process) if "t" in states else 0),
        frozen=_frozen(process, hierarchies),
        stdin=stdin,
        stdout=stdout,
    )


def _tracer_of_a_thread(process: Process) -> int:
    """Who traces a thread other than the main one."""
    tracers = (_status_of(process, thread) for thread in process.threads())
    return next((status.tracer_pid for status in tracers if status and status.tracer_pid), 0)


def _status_of(process: Process, thread: int) -> Optional[Status]:
    try:
        return parse_status(process.read(f"task/{thread}/status"))
    except ProcessGone:
        return None


def _frozen(process: Process, hierarchies: Hierarchies) -> Optional[bool]:
    try:
        return cgroup.frozen(process, hierarchies)
    except Unavailable:
        return None
