"""Observe mode: the same diagnosis, and an independent trace shows that nothing is touched."""

from __future__ import annotations

from functools import partial

from tests.lab import images, sight
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check, hung
from tests.lab.cases.hung_decompressor import CAUSES, WORDS
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.trace import Trace


def hang(fault: Fault) -> Measured:
    """A hung decompressor: diagnosed, and left as it is."""
    with Lab() as lab:
        lab.unpigz.install(Form.BINARY)
        agent = Agent(lab, mode="observe")
        trace = Trace(lab.root / "strace")
        agent.start(under=trace.command)
        try:
            lab.unpigz.arm(fault, 8 * images.MB)
            pull = lab.pull(images.SMALL)
            hung(lab)
            pid = lab.dockerd.decompressors[-1]
            incident = agent.incident(CAUSES[fault], deadline_s=40.0)
            wait_until(lambda: _would_act(agent), "it says what it would do", 20.0, every_s=0.5)
            check(incident["culprit"]["pid"] == pid, "the same culprit")
            check(pull.running and sight.stage(pid) is not None, "everything is as it was")
            check(actions(agent) == [], "no action")
        finally:
            agent.stop()
        _check_untouched(trace, agent)
    return Measured(seen=f"{incident['cause']}; {incident['next'] or 'told'}; trace clean")


def _would_act(agent: Agent) -> bool:
    return any(one["next"].startswith("would_act") for one in agent.incidents())


def _check_untouched(trace: Trace, agent: Agent) -> None:
    check(trace.lines(), "strace saw the agent")
    check(trace.signals() == [], f"no signal but 0: {trace.signals()}")
    check(trace.changes() == [], f"no mount, namespace or ptrace: {trace.changes()}")
    outside = trace.written_outside(agent.run_dir, agent.state_dir)
    check(outside == [], f"no write outside state and run directories: {outside}")
    check(trace.questions_that_change() == [], f"GETs only: {trace.questions_that_change()}")


CASES = [
    Case(
        f"observe mode, unpigz {WORDS[fault]}", "same diagnosis; strace shows no effect", partial(hang, fault)
    )
    for fault in CAUSES
]
