"""A 400 MB pull with and without the agent: 20 interleaved pairs, medians and 95 % intervals."""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass

from tests.bench.machine import cpu_with_children_s
from tests.lab.agent import Agent
from tests.lab.images import MB, Image, Layer
from tests.lab.lab import Lab
from tests.lab.processes import wait_until

IMAGE = Image("bench", (Layer(90, 400 * MB),))
PAIRS = 20
SETTLE_S = 2.0
CPU_BAR, WALL_BAR = 0.03, 0.05
RESAMPLES = 10_000


@dataclass(frozen=True)
class Cost:
    """One pull: seconds of wall time, and of CPU of dockerd and its children."""

    wall_s: float
    cpu_s: float


def main() -> bool:
    """Print the ratios; True when both bars hold."""
    random.seed(1)
    pairs: list[tuple[Cost, Cost]] = []
    with Lab() as lab:
        lab.pull(IMAGE).wait(120)  # caches are warm from here on
        for _ in range(PAIRS):
            pairs.append(_pair(lab, agent_first=random.random() < 0.5))
    print(f"a 400 MB pull with the agent, against one without, {PAIRS} interleaved pairs:")
    cpu = _tell(
        "CPU of dockerd", [with_agent.cpu_s / without.cpu_s for with_agent, without in pairs], CPU_BAR
    )
    wall = _tell("wall time", [with_agent.wall_s / without.wall_s for with_agent, without in pairs], WALL_BAR)
    return cpu and wall


def _pair(lab: Lab, agent_first: bool) -> tuple[Cost, Cost]:
    if agent_first:
        with_agent = _with_agent(lab)
        return with_agent, _pull(lab)
    without = _pull(lab)
    return _with_agent(lab), without


def _with_agent(lab: Lab) -> Cost:
    with Agent(lab, mode="enforce"):
        time.sleep(SETTLE_S)
        return _pull(lab)


def _pull(lab: Lab) -> Cost:
    lab.remove(IMAGE)
    wait_until(lambda: not lab.dockerd.decompressors, "the last pull is over", 30)
    time.sleep(SETTLE_S)
    cpu, began = cpu_with_children_s(lab.dockerd.pid), time.monotonic()
    status = lab.pull(IMAGE).wait(120)
    if status != 0:
        raise RuntimeError(f"the pull failed with status {status}")
    return Cost(time.monotonic() - began, cpu_with_children_s(lab.dockerd.pid) - cpu)


def _tell(what: str, ratios: list[float], bar: float) -> bool:
    medians = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    low, high = medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)]
    holds = high <= 1 + bar
    verdict = "holds" if holds else "DOES NOT HOLD"
    interval = f"95 % interval {low - 1:+.1%} to {high - 1:+.1%}"
    print(
        f"  {what:15} median {statistics.median(ratios) - 1:+.1%}, {interval} (at most {bar:+.0%}: {verdict})"
    )
    return holds
