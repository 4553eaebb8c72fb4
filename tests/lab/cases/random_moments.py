"""The agent killed (-9) at random moments of healthy and hung pulls: every pull ends, nothing is done twice.

Several labs share the moments.  In each the pulls follow one another; during a pull
the agent is killed and started again at up to three moments, and strace and the
registry's log count what all those agents have done together.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, check
from tests.lab.clients import Client
from tests.lab.faults import Fault
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.trace import Trace

MOMENTS = int(os.environ.get("RANDOM_MOMENTS", "200"))
LABS = 3  # their agents mostly wait
KILLS_MAX = 3
HUNG_STORY_S, HEALTHY_STORY_S = 14.0, 3.0  # from the pull to its end, as long as nobody is killed
ENDS_WITHIN_S = 120.0
FAULTS = (Fault.NONE, Fault.STOP, Fault.SPIN, Fault.PAUSE)
ENOUGH = {"count": 1000, "window": "24h", "cooldown": "1s"}
OPTIONS = {
    "remedies": {"substitute_decompressor": "off"},  # else gzip would keep later hangs away
    "budgets": {name: ENOUGH for name in ("resume", "kill_decompressor", "repull")},
}


@dataclass
class Tally:
    """What one lab has seen."""

    moments: int = 0
    pulls: int = 0
    hung: int = 0
    kills: int = 0


def at_random_moments(count: int) -> Measured:
    """So many moments, in several labs at once."""
    share = -(-count // LABS)
    parts = [min(share, count - share * number) for number in range(LABS)]
    with ThreadPoolExecutor(LABS) as threads:
        tallies = list(threads.map(_play, range(LABS), parts))
    moments, pulls, hung, kills = (
        sum(getattr(one, name) for one in tallies) for name in ("moments", "pulls", "hung", "kills")
    )
    return Measured(
        seen=f"{moments} moments in {pulls} pulls, {hung} of which hung; every pull ended well, "
        f"{kills} kills, nothing twice"
    )


def _play(seed: int, moments: int) -> Tally:
    dice, tally = random.Random(seed), Tally()
    if moments <= 0:
        return tally
    with Lab() as lab:
        lab.unpigz.install()
        agent = Agent(lab, **OPTIONS)
        traces = _start(agent, lab, [])
        with agent:
            while tally.moments < moments:
                fault = dice.choice(FAULTS)
                kills = min(dice.randint(1, KILLS_MAX), moments - tally.moments)
                _one_pull(lab, agent, dice, fault, kills, traces)
                tally.moments, tally.pulls = tally.moments + kills, tally.pulls + 1
                tally.hung += fault is not Fault.NONE
            wait_until(lambda: _all_over(agent), "every story is over", ENDS_WITHIN_S, every_s=0.5)
        tally.kills = _check_once(traces)
    return tally


def _one_pull(
    lab: Lab, agent: Agent, dice: random.Random, fault: Fault, kills: int, traces: list[Trace]
) -> None:
    """A pull during which the agent is killed so often; it ends well."""
    hangs = fault is not Fault.NONE
    lab.unpigz.arm(fault, dice.randrange(1, 14) * images.MB, runs=1 if hangs else 0)
    before, signals = _fetches(lab), len(_sent(traces, "SIGKILL"))
    pull, began = lab.pull(images.SMALL), time.monotonic()
    story_s = HUNG_STORY_S if hangs else HEALTHY_STORY_S
    for moment in sorted(dice.uniform(0.0, story_s) for _ in range(kills)):
        time.sleep(max(0.0, began + moment - time.monotonic()))
        agent.kill()
        _start(agent, lab, traces)
    _ends_well(lab, pull, f"pull of seed and fault {fault.value}")
    killed = len(_sent(traces, "SIGKILL")) - signals
    fetched = _fetches(lab) - before
    check(fetched <= 1 + killed, f"{killed} kill(s) and {fetched} fetches: pulled again more than once")
    lab.remove(images.SMALL)


def _ends_well(lab: Lab, pull: Client, what: str) -> None:
    wait_until(lambda: lab.has(images.SMALL) or None, f"{what}: the image is there", ENDS_WITHIN_S)
    wait_until(lambda: not pull.running, f"{what}: the client has ended", 10.0)


def _start(agent: Agent, lab: Lab, traces: list[Trace]) -> list[Trace]:
    traces.append(Trace(lab.root / f"strace-{len(traces)}"))
    agent.start(under=traces[-1].command)
    return traces


def _check_once(traces: list[Trace]) -> int:
    """No process got the same signal twice, from whichever agent; how many were killed."""
    for name in ("SIGKILL", "SIGCONT"):
        twice = {pid: times for pid, times in Counter(_sent(traces, name)).items() if times > 1}
        check(not twice, f"at most one {name} for each process: {twice}")
    return len(_sent(traces, "SIGKILL"))


def _sent(traces: list[Trace], name: str) -> list[int]:
    return [pid for trace in traces for signal, pid in trace.signals_to() if signal == name]


def _fetches(lab: Lab) -> int:
    (layer,) = images.build(images.SMALL).layers
    return len(lab.registry.accesses(layer.digest))


def _all_over(agent: Agent) -> bool:
    return all(one["resolved_at"] for one in agent.incidents())


CASES = [
    Case(
        f"agent killed at {MOMENTS} random moments",
        "every pull still ends; at most one effect for each culprit",
        partial(at_random_moments, MOMENTS),
        once=True,
    )
]
