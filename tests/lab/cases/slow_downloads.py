"""What is slow, late or idle, and not hung: no incident, with the thresholds of the field."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, check
from tests.lab.cases.silent_downloads import digest_of, scene
from tests.lab.images import MB, Image, Layer
from tests.lab.lab import Lab
from tests.lab.proxy import Rule

SLOW = Image("slow", (Layer(71, 5 * MB),))
LATE = Image("late", (Layer(72, 5 * MB),))
LATER = Image("later", (Layer(73, 5 * MB),))
FOR_S = 200.0
IDLE_S = 60.0
OTHERS = 40


def slow_and_late() -> Measured:
    """20 KB/s, 25 s and 3 minutes to the first byte, and dozens of other sockets of dockerd, at once."""
    with scene(SLOW, LATE, LATER) as (lab, proxy, agent), ExitStack() as stack:
        proxy.rule(
            Rule(path=digest_of(SLOW), rate_bytes_per_s=20_000),
            Rule(path=digest_of(LATE), delay_s=25.0),
            Rule(path=digest_of(LATER), delay_s=180.0),
        )
        for _ in range(OTHERS):  # clients of its API that say nothing
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(str(lab.dockerd.socket))
        pulls = [lab.client("pull", proxy.reference(image)) for image in (SLOW, LATE, LATER)]
        nothing_for(FOR_S, agent)
        check(pulls[0].running, "the slow one was still under way")
        check([one.wait(60.0) for one in pulls[1:]] == [0, 0], "the late ones came")
        return Measured(seen=f"none in {FOR_S:.0f} s")


def no_pull_at_all() -> Measured:
    with Lab() as lab, Agent(lab) as agent:
        check(lab.dockerd.pid, "dockerd runs")
        nothing_for(IDLE_S, agent)
        return Measured(seen=f"none in {IDLE_S:.0f} s")


def nothing_for(seconds: float, agent: Agent) -> None:
    """Not one incident is opened."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        check(agent.incidents() == [], f"no incident: {agent.incidents()}")
        time.sleep(5.0)


CASES = [
    Case(
        "a layer at 20 KB/s; 25 s and 3 min to a first byte; 40 idle clients of the API",
        "no incident",
        slow_and_late,
    ),
    Case("a dockerd with no pull at all", "no incident", no_pull_at_all),
]
