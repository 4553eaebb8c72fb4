"""The stages beside the decompressor: docker-untar and dockerd themselves, stopped."""

from __future__ import annotations

from contextlib import ExitStack

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import CONFIRMED_WITHIN_S, IMAGE_WITHIN_S, Case, Measured, actions, check
from tests.lab.faults import Fault, Form, stopped
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.timeline import Timeline


def untar_stopped() -> Measured:
    """docker-untar stopped from outside: continued, nothing killed."""
    with Lab() as lab:
        _slow_pull(lab)
        untar = wait_until(lambda: next(iter(lab.dockerd.untars), None), "docker-untar runs")
        return _freed(lab, untar, "untar_stopped")


def dockerd_stopped() -> Measured:
    """dockerd stopped from outside: continued, not restarted."""
    with Lab() as lab:
        _slow_pull(lab)
        wait_until(lambda: lab.dockerd.decompressors, "the extraction runs")
        return _freed(lab, lab.dockerd.pid, "daemon_stopped")


def _slow_pull(lab: Lab) -> None:
    """A pull that is in extraction for as long as nobody disarms it."""
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.SLOW, 4 * images.MB)
    lab.pull(images.BIG)


def _freed(lab: Lab, pid: int, cause: str) -> Measured:
    time = Timeline()
    with Agent(lab) as agent, ExitStack() as stack:
        wait_until(lambda: "answers" in agent.status(), "the agent knows the runtime")
        stack.enter_context(stopped(pid))
        time.mark("hung")
        lab.unpigz.disarm()
        incident = time.mark_when("confirmed", lambda: next(iter(agent.incidents()), None))
        check(incident["cause"] == cause, f"it is {cause}, not {incident['cause']}")
        check(incident["culprit"]["pid"] == pid, "the culprit is the stopped process")
        time.mark_when("image", lambda: _is_there(lab) or None)
        agent.incident(cause, "recovered", deadline_s=20.0)
        check(actions(agent) == ["resume"], f"freed by resume alone: {actions(agent)}")
    confirmed, image = time.between("hung", "confirmed"), time.between("hung", "image")
    check(confirmed <= CONFIRMED_WITHIN_S and image <= IMAGE_WITHIN_S, "in time")
    return Measured({"confirmed": confirmed, "image there": image})


def _is_there(lab: Lab) -> bool:
    """Whether the image is there; a dockerd that is still stopped does not answer."""
    try:
        return lab.has(images.BIG)
    except OSError:
        return False


CASES = [
    Case("docker-untar stopped", "named as such; freed without a kill", untar_stopped),
    Case("dockerd itself stopped", "named as such; freed without a kill", dockerd_stopped),
]
