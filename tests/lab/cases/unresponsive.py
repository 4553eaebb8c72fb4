"""A dockerd that lives and answers nobody, for it has no descriptor left; and one that only answers late."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.lab import Lab
from tests.lab.processes import has_ended, send, wait_until
from tests.lab.timeline import Timeline

SOON = {"unresponsive": 2}  # the field's minute and a half, scaled down
WATCH_S = 45.0


@contextmanager
def without_descriptors(pid: int) -> Iterator[None]:
    """The process cannot open anything more; what is open stays so."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    lowest_free = next(number for number in count() if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        if not has_ended(pid):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def known(agent: Agent) -> None:
    """Wait until the agent has the runtime's own words: without these it restarts nothing."""
    wait_until(lambda: _words(agent) is not None, "the runtime has said what it is", 30.0, 0.5)


def _words(agent: Agent) -> object:
    (runtime,) = json.loads((agent.run_dir / "state.json").read_text())["runtimes"] or [{}]
    return runtime.get("live_restore")


def restarted() -> Measured:
    """Where a restart is allowed: asked for its goroutines, restarted, and answering again."""
    with Lab() as lab, Agent(lab, thresholds=SOON, remedies={"restart_runtime": True}) as agent:
        known(agent)
        before, clock = lab.dockerd.pid, Timeline()
        with without_descriptors(before):
            clock.mark("silent")
            clock.mark_when("confirmed", lambda: _incident(agent), deadline_s=90.0)
            agent.incident("daemon_unresponsive", "recovered", deadline_s=150.0)
            clock.mark("answers")
        incident = _incident(agent) or {}
        check(lab.dockerd.pid != before, "another process is the runtime")
        check(actions(agent) == ["dump_goroutines", "restart_runtime"], f"in this order: {actions(agent)}")
        check(
            incident["target"]["reason"] == "descriptors", f"the reason is in its log: {incident['target']}"
        )
    return Measured({one: clock.between("silent", one) for one in ("confirmed", "answers")})


def told() -> Measured:
    """Where a restart is not allowed: told, and dockerd runs on."""
    with Lab() as lab, Agent(lab, thresholds=SOON) as agent:
        known(agent)
        before = lab.dockerd.pid
        with without_descriptors(before):
            agent.incident("daemon_unresponsive", deadline_s=90.0)
            wait_until(lambda: "dump_goroutines" in actions(agent), "its goroutines are asked for", 60.0)
            time.sleep(10.0)
        incident = _incident(agent) or {}
        check(lab.dockerd.pid == before, "dockerd is not restarted")
        check(set(actions(agent)) == {"dump_goroutines"}, f"nothing else is done: {actions(agent)}")
        return Measured(seen=str(incident["next"])[:160])


def late() -> Measured:
    """A dockerd that runs for half a second of every two, and so answers late."""
    with Lab() as lab, Agent(lab, thresholds=SOON) as agent:
        pid, over = lab.dockerd.pid, threading.Event()
        thread = threading.Thread(target=_stutter, args=(pid, over), daemon=True)
        thread.start()
        try:
            time.sleep(WATCH_S)
        finally:
            over.set()
            thread.join()
        check(agent.incidents() == [], f"no incident: {agent.incidents()}")
        return Measured(seen=f"none in {WATCH_S:.0f} s")


def _stutter(pid: int, over: threading.Event) -> None:
    while not over.is_set():
        send(pid, signal.SIGSTOP)
        over.wait(1.2)
        send(pid, signal.SIGCONT)
        over.wait(0.5)


def _incident(agent: Agent) -> dict[str, object] | None:
    return next((one for one in agent.incidents() if one["cause"] == "daemon_unresponsive"), None)


CASES = [
    Case("dockerd without a descriptor, restart allowed", "stacks asked for, restarted, answers", restarted),
    Case("dockerd without a descriptor", "daemon_unresponsive, stacks asked for, not restarted", told),
    Case("a dockerd that answers late", "no incident", late),
]
