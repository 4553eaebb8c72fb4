"""What is held on purpose, or waits for a disk: told, and nobody touches it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from tests.lab import images, sight
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.faults import Fault, Form, frozen_by_cgroup, traced
from tests.lab.lab import Lab
from tests.lab.processes import send, wait_until
from tests.lab.timeline import Timeline


def held(hold: Callable[[Lab, int], AbstractContextManager[object]]) -> Measured:
    """The decompressor is held by somebody: told as held, no action, and it ends well once let go."""
    with Lab() as lab, Agent(lab) as agent:
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(Fault.SLOW, 4 * images.MB)
        pull = lab.pull(images.SMALL)
        pid = wait_until(lambda: next(iter(lab.dockerd.decompressors), None), "unpigz runs")
        time = Timeline()
        with hold(lab, pid):
            time.mark("held")
            incident = time.mark_when("told", lambda: next(iter(agent.incidents()), None), 40.0)
            check(incident["cause"] == "decompressor_held", f"it is held, not {incident['cause']}")
            check(incident["next"].startswith("refuse"), f"hands off: {incident['next']}")
            check(actions(agent) == [], f"no action: {actions(agent)}")
        lab.unpigz.disarm()
        check(pull.wait(60) == 0, "the pull ends well once it is let go")
        agent.incident("decompressor_held", "cleared", "gone", deadline_s=20.0)
    return Measured({"told": time.between("held", "told")}, incident["next"])


def stopped_again() -> Measured:
    """Stopped, continued by us, and stopped again by somebody: then hands off."""
    with Lab() as lab, Agent(lab) as agent:
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(Fault.SLOW, 4 * images.MB)
        lab.pull(images.SMALL)
        pid = wait_until(lambda: next(iter(lab.dockerd.decompressors), None), "unpigz runs")
        send(pid, signal.SIGSTOP)
        agent.incident("decompressor_stopped", "recovered", deadline_s=30.0)
        send(pid, signal.SIGSTOP)
        incident = agent.incident("decompressor_stopped", "confirmed", deadline_s=30.0)
        incident = wait_until(
            lambda: next((i for i in agent.incidents() if "stopped again" in i["next"]), None),
            "it says that it was stopped again",
            20.0,
        )
        check(sight.state(pid) == "T", "it is still stopped")
        check(actions(agent) == ["resume"], f"continued once: {actions(agent)}")
        send(pid, signal.SIGCONT)
    return Measured(seen=incident["next"])


def frozen_disk() -> Measured:
    """The disk below dockerd and below our own state stands still: told; we still answer."""
    with Lab(disk_mb=2000) as lab:
        state_dir = lab.dockerd.data_root / "pull-watchdog"
        with Agent(lab, state_dir=str(state_dir)) as agent:
            lab.registry.publish(images.BIG)
            lab.unpigz.install(Form.BINARY)
            lab.unpigz.arm(Fault.SLOW, 20 * images.MB)
            lab.pull(images.BIG)
            wait_until(lambda: lab.dockerd.untars and lab.dockerd.decompressors, "the extraction runs")
            time = Timeline()
            with lab.disk.frozen(at_most_s=60):  # type: ignore[union-attr]
                lab.unpigz.disarm()
                time.mark("frozen")
                incident = time.mark_when("told", lambda: _storage_incident(agent), 45.0)
                check(actions(agent) == [], "nothing is killed")
                check("storage_stalled" in agent.status(), "status answers")
                check(agent.metrics(), "metrics answer")
            wait_until(lambda: lab.has(images.BIG) or None, "the pull ends after the thaw", 60.0)
    return Measured({"told": time.between("frozen", "told")}, incident["next"])


def _storage_incident(agent: Agent) -> dict[str, str] | None:
    return next((one for one in agent.incidents() if one["cause"] == "storage_stalled"), None)


def _freezer(version: int, lab: Lab, pid: int) -> AbstractContextManager[object]:
    return frozen_by_cgroup(pid, lab.root.name, version)


def _gdb(lab: Lab, pid: int) -> AbstractContextManager[object]:
    return traced(pid)


CASES = [
    Case("cgroup v2 freezer on unpigz", "told; hands off", partial(held, partial(_freezer, 2))),
    Case("cgroup v1 freezer on unpigz", "told; hands off", partial(held, partial(_freezer, 1))),
    Case("gdb on unpigz", "told; hands off", partial(held, _gdb)),
    Case("unpigz stopped again after our SIGCONT", "told; hands off", stopped_again),
    Case(
        "a frozen disk below dockerd and our state",
        "storage_stalled; nothing killed; status and metrics answer",
        frozen_disk,
    ),
]
