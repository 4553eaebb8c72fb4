"""CPU of the agent beside a dockerd that does nothing."""

from __future__ import annotations

import time

from tests.bench.machine import cpu_ns
from tests.lab.agent import Agent
from tests.lab.lab import Lab

BAR_RATIO = 0.001
SETTLE_S = 10.0
FOR_S = 120.0


def main() -> bool:
    """Print the share of a core; True when the bar holds."""
    with Lab() as lab, Agent(lab, mode="enforce") as agent:
        time.sleep(SETTLE_S)
        before, began = cpu_ns(agent.pid), time.monotonic()
        time.sleep(FOR_S)
        share = (cpu_ns(agent.pid) - before) / 1e9 / (time.monotonic() - began)
    verdict = "holds" if share <= BAR_RATIO else "DOES NOT HOLD"
    print(f"idle CPU over {FOR_S:.0f} s: {share:.3%} of a core (at most {BAR_RATIO:.1%}: {verdict})")
    return share <= BAR_RATIO
