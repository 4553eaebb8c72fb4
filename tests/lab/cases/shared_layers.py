"""One hung layer and several pulls: who is freed, who is made good, who is left alone."""

from __future__ import annotations

import time

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import IMAGE_WITHIN_S, Case, Measured, actions, check, hung
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.sight import stage
from tests.lab.timeline import Timeline

CAUSE = "decompressor_blocked"
TOLD_WITHIN_S = 12.0
SEEN_WITHIN_S = 2.0  # two looks of the agent: nobody gives up on a pull sooner


def given_up_and_waiting() -> Measured:
    """The first client gives up on the hang; a second pull waits on the layer: it completes by itself."""
    with Lab() as lab, Agent(lab) as agent:
        _hang(lab)
        first = lab.pull(images.SMALL)
        hung(lab)
        clock = Timeline()
        clock.mark("hung")
        time.sleep(SEEN_WITHIN_S)
        first.give_up()
        second = lab.pull(images.SMALL)
        status = second.wait(IMAGE_WITHIN_S)
        clock.mark("second pull done")
        check(status == 0, f"the second pull completes, with status {status}")
        agent.incident(CAUSE, "recovered", deadline_s=20.0)
        check("repull" not in actions(agent), "a pull that goes on by itself is not pulled again")
    return Measured({"second pull done": clock.between("hung", "second pull done")})


def two_clients() -> Measured:
    """Two live clients on one hung layer: the image is there in the end, and the cost is told."""
    with Lab() as lab, Agent(lab) as agent:
        _hang(lab)
        clients = [lab.pull(images.SMALL)]
        hung(lab)
        clients.append(lab.pull(images.SMALL))
        clock = Timeline()
        clock.mark("hung")
        clock.mark_when("image", lambda: lab.has(images.SMALL) or None, IMAGE_WITHIN_S)
        incident = agent.incident(CAUSE, "recovered", deadline_s=20.0)
        pids = {pull["client_pid"] for pull in incident["cost"]["pulls"]}
        check({client.pid for client in clients} <= pids, f"the cost names both clients: {pids}")
    return Measured({"image there": clock.between("hung", "image")})


def two_images_on_one_base() -> Measured:
    """Two images share the hung base layer: both are there in the end, and the cost names both."""
    with Lab() as lab, Agent(lab) as agent:
        _hang(lab)
        lab.pull(images.TWIN_A)
        hung(lab)
        lab.pull(images.TWIN_B)
        clock = Timeline()
        clock.mark("hung")
        clock.mark_when(
            "images", lambda: (lab.has(images.TWIN_A) and lab.has(images.TWIN_B)) or None, IMAGE_WITHIN_S
        )
        incident = agent.incident(CAUSE, "recovered", deadline_s=20.0)
        named = {pull["image"] for pull in incident["cost"]["pulls"]}
        wanted = {lab.registry.reference(images.TWIN_A), lab.registry.reference(images.TWIN_B)}
        check(wanted <= named, f"the cost names both images: {named}")
    return Measured({"images there": clock.between("hung", "images")})


def only_the_hung_one() -> Measured:
    """Two pulls without a shared layer, one hung: the other is not touched."""
    with Lab() as lab, Agent(lab) as agent:
        _hang(lab)
        lab.pull(images.SMALL)
        hung(lab)
        culprit = lab.dockerd.decompressors[-1]
        lab.unpigz.arm(Fault.SLOW, 4 * images.MB)
        other = lab.pull(images.OTHER)
        wait_until(lambda: len(lab.dockerd.decompressors) == 2, "the other pull extracts")
        clock = Timeline()
        clock.mark("both")
        agent.incident(CAUSE, "recovered", "verifying", deadline_s=30.0)
        check(other.running, "the healthy pull runs on")
        lab.unpigz.disarm()
        check(other.wait(60) == 0, "the healthy pull ends well")
        clock.mark_when("image", lambda: lab.has(images.SMALL) or None, IMAGE_WITHIN_S)
        pids = {one["culprit"]["pid"] for one in agent.incidents()}
        check(pids == {culprit}, f"only the hung one has an incident: {pids}")
    return Measured({"image there": clock.between("both", "image")})


def load_and_build() -> Measured:
    """A hung load and a hung build beside a healthy pull: told at most, and left alone."""
    with Lab() as lab, Agent(lab) as agent:
        _hang(lab, runs=3)  # a build runs it twice: once to look what the archive is
        loading, building = lab.load(images.SMALL), lab.build(images.OTHER)
        wait_until(lambda: len(lab.dockerd.decompressors) == 3, "both decompress")
        hung(lab)
        pids = list(lab.dockerd.decompressors)
        pull = lab.pull(images.MULTI)
        check(pull.wait(60) == 0, "the healthy pull ends well")
        agent.incident(CAUSE, deadline_s=30.0)
        time.sleep(TOLD_WITHIN_S)
        told = [one["cause"] for one in agent.incidents()]
        check(actions(agent) == [], f"no action: {actions(agent)}")
        check(all(stage(pid) is not None for pid in pids), "both decompressors are alive")
        check(loading.running and building.running, "load and build run on")
    return Measured(seen=f"{' and '.join(told)} told; no action")


def _hang(lab: Lab, runs: int = 1) -> None:
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.PAUSE, 8 * images.MB, runs)


CASES = [
    Case("a client gave up, a second pull waits", "the second pull completes", given_up_and_waiting),
    Case("two live clients on one hung layer", "the image is there; cost in the incident", two_clients),
    Case("two images on one hung base layer", "both are there; cost in the incident", two_images_on_one_base),
    Case("two pulls, one of them hung", "only that one is touched", only_the_hung_one),
    Case("a hung load and build beside a pull", "told at most; left alone", load_and_build),
]
