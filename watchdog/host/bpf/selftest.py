"""Does an engine see, here and now?  A child of ours must be seen with its right pid.

An engine can load and still be blind: in a nested pid namespace the kernel
speaks of other numbers than we do.  The child lives until it was seen, so that
an engine that polls gets its chance too.
"""

from __future__ import annotations

import os
import time
from typing import Set

from watchdog.errors import Unavailable
from watchdog.host.bpf.engine import Engine

_PROGRAM = "/bin/cat"  # waits for its standard input
_PAUSE_S = 0.005
_INITIAL_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, the same in every kernel


def demand_sight(engine: Engine, deadline_s: float = 3.0) -> None:
    """Raises Unavailable when birth, exec or death of our child stay unseen for `deadline_s`.

    Events of the test are taken out; only call it before anything is watched.
    """
    engine.watch(os.getpid())
    stdin, keeps_it_alive = os.pipe()
    try:
        pid = os.posix_spawn(_PROGRAM, [_PROGRAM], {}, file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0)])
        try:
            _wait_for(engine, pid, {"fork", "exec"}, deadline_s)
        finally:
            os.close(keeps_it_alive)  # its input ends, and so does it: no signal is sent, not even to our own
            os.waitpid(pid, 0)
        _wait_for(engine, pid, {"exit"}, deadline_s)
    finally:
        os.close(stdin)
        engine.unwatch(os.getpid())


def _wait_for(engine: Engine, pid: int, wanted: Set[str], deadline_s: float) -> None:
    until = time.monotonic() + deadline_s
    missing = set(wanted)
    while missing:
        missing -= {event.what for event in engine.read() if event.pid == pid}
        if time.monotonic() > until:
            unseen = " and ".join(sorted(missing))
            raise Unavailable(f"self-test: {unseen} of our own child {pid} not seen{_suspicion()}")
        time.sleep(_PAUSE_S)


def _suspicion() -> str:
    if os.readlink("/proc/self/ns/pid") == _INITIAL_NAMESPACE:
        return ""
    return " (this is a nested pid namespace; the kernel's events carry other pids)"
