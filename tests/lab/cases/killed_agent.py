"""The agent killed (-9): around every step of an action, and at random moments.  It converges."""

from __future__ import annotations

import os
import random
import time
from functools import partial

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import IMAGE_WITHIN_S, Case, Measured, check
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.trace import Trace

POINTS = ("before_intent", "after_intent", "after_effect", "after_result")
SIGNALS = {"resume": (Fault.STOP, "SIGCONT"), "kill_decompressor": (Fault.PAUSE, "SIGKILL")}
RANDOM_MOMENTS = int(os.environ.get("RANDOM_MOMENTS", "200"))


def around(remedy: str, point: str) -> Measured:
    """The remedy's process and the agent are killed there; a new agent ends the story."""
    fault, signal_name = SIGNALS[remedy]
    with Lab() as lab:
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(fault, 8 * images.MB, runs=1)
        agent = Agent(lab)
        traces = [Trace(lab.root / "strace-1"), Trace(lab.root / "strace-2")]
        agent.start(under=traces[0].command, PULL_WATCHDOG_TEST_CRASH=point)
        lab.pull(images.SMALL)
        wait_until(lambda: _ended_without_a_word(agent, remedy), f"{remedy} is killed {point}", 60.0)
        agent.kill()
        agent.start(under=traces[1].command)
        try:
            wait_until(lambda: lab.has(images.SMALL) or None, "the image is there", IMAGE_WITHIN_S)
            wait_until(lambda: _all_over(agent), "the story is over", 30.0, every_s=0.5)
        finally:
            agent.stop()
        sent = [name for trace in traces for name in trace.signals() if name == signal_name]
    check(len(sent) <= 1, f"at most one {signal_name}: {sent}")
    return Measured(seen=f"{len(sent)} {signal_name}, image there")


def at_random_moments(count: int) -> Measured:
    """Healthy and hung pulls while the agent is killed again and again: every pull ends."""
    dice = random.Random(7)
    with Lab() as lab:
        lab.unpigz.install(Form.BINARY)
        agent = Agent(lab, budgets=_ample())
        for number in range(count):
            fault = dice.choice([Fault.NONE, Fault.STOP, Fault.SPIN, Fault.PAUSE])
            lab.unpigz.arm(fault, dice.randrange(1, 14) * images.MB, runs=1 if fault is not Fault.NONE else 0)
            agent.start()
            lab.pull(images.SMALL)
            time.sleep(dice.uniform(0.0, 12.0 if fault is not Fault.NONE else 2.0))
            agent.kill()
            agent.start()
            wait_until(
                lambda: lab.has(images.SMALL) or None, f"pull {number} ({fault.value}) ends well", 60.0
            )
            agent.stop()
            lab.remove(images.SMALL)
    return Measured(seen=f"{count} moments, every pull ended well")


def _ample() -> dict[str, dict[str, object]]:
    names = ("resume", "kill_decompressor", "repull", "substitute_decompressor")
    return {name: {"count": 1000, "window": "24h", "cooldown": "1s"} for name in names}


def _ended_without_a_word(agent: Agent, remedy: str) -> bool:
    taken = [action for one in agent.incidents() for action in one["actions"] if action["name"] == remedy]
    return any(action["outcome"] is not None for action in taken)


def _all_over(agent: Agent) -> bool:
    return all(one["resolved_at"] for one in agent.incidents())


CASES = [
    Case(
        f"agent and {remedy} killed {point}",
        "it converges; at most one effect",
        partial(around, remedy, point),
    )
    for remedy in SIGNALS
    for point in POINTS
] + [
    Case(
        f"agent killed at {RANDOM_MOMENTS} random moments",
        "every pull still ends",
        partial(at_random_moments, RANDOM_MOMENTS),
    )
]
