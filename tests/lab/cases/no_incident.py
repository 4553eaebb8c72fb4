"""What is slow, fast, busy or none of our business: no incident."""

from __future__ import annotations

import subprocess
import time

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, check
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import end, wait_until

WATCH_S = 60.0


def slow_unpigz() -> Measured:
    """unpigz at 50 KB/s for a minute."""
    with Lab() as lab, Agent(lab) as agent:
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(Fault.SLOW, 1 * images.MB)
        lab.pull(images.SMALL)
        wait_until(lambda: lab.dockerd.decompressors, "unpigz runs")
        return _nothing_for(agent, WATCH_S)


def full_speed() -> Measured:
    """A 1 GB pull as fast as the machine can."""
    with Lab() as lab:
        lab.registry.publish(images.HUGE)
        with Agent(lab) as agent:
            check(lab.pull(images.HUGE).wait(300) == 0, "the pull ends well")
            return _nothing_for(agent, 3.0)


def slow_build() -> Measured:
    """A `docker build` whose ADD decompresses at 50 KB/s."""
    with Lab() as lab, Agent(lab) as agent:
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(Fault.SLOW, 1 * images.MB)
        lab.build(images.SMALL)
        wait_until(lambda: lab.dockerd.decompressors, "unpigz runs")
        return _nothing_for(agent, WATCH_S)


def an_operators_own() -> Measured:
    """An operator's own `unpigz -dc FILE | less`, standing still."""
    with Lab() as lab, Agent(lab) as agent:
        layer = images.layer_blob(images.SMALL.layers[0]).path
        reading = subprocess.Popen(["sleep", "600"], stdin=subprocess.PIPE)
        own = subprocess.Popen(["unpigz", "-dc", str(layer)], stdout=reading.stdin)
        try:
            return _nothing_for(agent, WATCH_S)
        finally:
            end(own)
            end(reading)


def _nothing_for(agent: Agent, seconds: float) -> Measured:
    time.sleep(seconds)
    check(agent.incidents() == [], f"no incident: {agent.incidents()}")
    check(agent.running, "the agent runs")
    return Measured(seen=f"none in {seconds:.0f} s")


CASES = [
    Case("unpigz at 50 KB/s", "no incident", slow_unpigz),
    Case("a 1 GB pull at full speed", "no incident", full_speed),
    Case("a slow docker build", "no incident", slow_build),
    Case("an operator's own unpigz standing still", "no incident", an_operators_own),
]
