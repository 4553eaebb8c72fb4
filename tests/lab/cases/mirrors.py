"""A mirror of docker.io that is silent, refuses or answers 502: bypassed, and in use again once it heals.

What dockerd alone does is written in watchdog/core/causes/mirror.py; here its
fallback saves the pulls that it can save, and the agent the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.clients import Client
from tests.lab.docker_io import SMALL, DockerIo
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.proxy import BEFORE_HEAD, BLOBS, MANIFESTS, Ending, FaultProxy, Rule
from tests.lab.timeline import Timeline

NAME = "lab/small:1"
CAUSE = "mirror_failing"
# The agent's own: 30 and 300; a manifest's request counts twice the first.
QUICK = {"stalled": 5, "header_wait": 12}
SILENT = tuple(
    Rule("/v2/", method, ending=Ending.STALL, after_bytes=BEFORE_HEAD) for method in ("GET", "HEAD")
)
SILENT_MANIFEST = tuple(
    Rule(MANIFESTS, method, ending=Ending.STALL, after_bytes=BEFORE_HEAD) for method in ("GET", "HEAD")
)
SILENT_LAYERS = (Rule(BLOBS, ending=Ending.STALL, after_bytes=BEFORE_HEAD),)
BAD_LAYERS = (Rule(f"/blobs/{images.layer_blob(SMALL.layers[0]).digest}", status=502),)
SLOW_LAYERS = (Rule(BLOBS, size_at_least=images.MB, rate_bytes_per_s=200_000),)
NOT_THERE = (Rule(MANIFESTS, status=404), Rule(MANIFESTS, "HEAD", status=404))


@dataclass(frozen=True)
class Node:
    """A node whose docker.io has one mirror."""

    lab: Lab
    mirror: FaultProxy
    origin: DockerIo

    @property
    def mirrors(self) -> list[str]:
        return self.lab.dockerd.api.mirrors()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.mirror.port}/"

    @property
    def has_image(self) -> bool:
        return self.lab.dockerd.api.has_image(NAME)

    def pull(self) -> Client:
        return self.lab.client("pull", NAME)

    def agent(self, **options: Any) -> Agent:
        return Agent(self.lab, remedies={"bypass_mirror": "on"}, thresholds=QUICK, **options)


@contextmanager
def node(rules: Sequence[Rule] = (), closed: bool = False) -> Iterator[Node]:
    """`closed`: the mirror is the only way out."""
    lab = Lab()
    with ExitStack() as stack:
        stack.callback(lab.stop)
        lab.registry.start()
        lab.registry.publish(SMALL)
        origin = stack.enter_context(DockerIo(lab, closed))
        mirror = stack.enter_context(FaultProxy(lab))
        mirror.rule(*rules)
        lab.dockerd.config.write_text(json.dumps({"registry-mirrors": [f"http://127.0.0.1:{mirror.port}"]}))
        lab.dockerd.start()
        yield Node(lab, mirror, origin)


def fails(rules: Sequence[Rule], reason: str, dies: bool = False) -> Measured:
    """It is named, bypassed without a restart, the pull completes from the origin, and it comes back."""
    with node(rules) as one, one.agent() as agent:
        daemon, before = one.lab.dockerd.pid, one.lab.dockerd.config.read_bytes()
        client, time = one.pull(), Timeline()
        if dies:
            wait_until(
                lambda: [1 for file in one.lab.dockerd.blobs if file.size_bytes > images.MB], "a layer comes"
            )
            one.mirror.__exit__(None, None, None)
        time.mark("fault")
        incident = time.mark_when("confirmed", lambda: _incident(agent), deadline_s=90.0)
        check(incident["target"]["reason"] == reason, f"the reason is {reason}, not {incident['target']}")
        check(incident["target"]["endpoint"] == one.url, f"it is {one.url}")
        time.mark_when("bypassed", lambda: one.mirrors == [] or None, deadline_s=60.0)
        time.mark_when("image", lambda: one.has_image or None, deadline_s=150.0)
        check(client.wait() == 0, "the pull succeeded")
        check(any("/blobs/" in line for line in one.origin.requests()), "its layers came from the origin")
        if dies:
            one.mirror.__enter__()
        one.mirror.rule()
        time.mark("healed")
        time.mark_when("back", lambda: one.mirrors == [one.url] or None, deadline_s=150.0)
        check(one.lab.dockerd.config.read_bytes() == before, "daemon.json is as it was")
        _check_in_use(one)
        check(one.lab.dockerd.pid == daemon, "dockerd was not restarted")
        agent.incident(CAUSE, "recovered", deadline_s=30.0)
    names = (("fault", "confirmed"), ("fault", "image"), ("healed", "back"))
    return Measured({f"{end} after the {begin}": time.between(begin, end) for begin, end in names})


def _incident(agent: Agent) -> dict[str, Any] | None:
    return next((one for one in agent.incidents() if one["cause"] == CAUSE), None)


def _check_in_use(one: Node) -> None:
    """The next pull goes to the mirror."""
    one.lab.dockerd.api.remove_image(NAME)
    asked = len(one.mirror.layers(SMALL))
    check(one.pull().wait() == 0, "the next pull succeeds")
    check(len(one.mirror.layers(SMALL)) > asked, "the mirror is in use again")


def silent_from_the_beginning() -> Measured:
    """dockerd passes it over by itself, after 15 s of each pull: bypassed, and then pulls take no time."""
    with node(SILENT) as one, one.agent():
        for _ in range(3):
            check(one.pull().wait() == 0, "dockerd pulls from the origin by itself")
            one.lab.dockerd.api.remove_image(NAME)
        wait_until(lambda: one.mirrors == [], "the mirror is bypassed", 30.0)
        check(one.pull().wait(10.0) == 0, "the next pull does not wait for it")
        one.mirror.rule()
        wait_until(lambda: one.mirrors == [one.url], "the mirror is back", 150.0)
        _check_in_use(one)
    return Measured()


def passed_over() -> Measured:
    """Nobody listens there: dockerd goes on by itself at once.  Told, and left alone."""
    with node() as one, one.agent() as agent:
        one.mirror.__exit__(None, None, None)
        for _ in range(4):
            check(one.pull().wait() == 0, "dockerd pulls from the origin by itself")
            one.lab.dockerd.api.remove_image(NAME)
        incident = agent.incident(CAUSE, "confirmed", deadline_s=20.0)
        check(incident["target"]["reason"] == "refused", f"refused, not {incident['target']}")
        check("passes it over by itself" in incident["next"], incident["next"])
        check(actions(agent) == [], "nothing is done")
        check(one.mirrors == [one.url], "the list is as it was")
    return Measured()


def only_way_out() -> Measured:
    """docker.io does not answer: a mirror that is silent is left in the list, and told."""
    with node(SILENT_MANIFEST, closed=True) as one, one.agent() as agent:
        one.pull()
        agent.incident(CAUSE, "gave_up", deadline_s=90.0)
        told = [action["detail"] for each in agent.incidents() for action in each["actions"]]
        check(told and all("may be the only way out of this node" in text for text in told), str(told))
        check(one.mirrors == [one.url], "the list is as it was")
    return Measured()


def almost(rules: Sequence[Rule]) -> Measured:
    """A mirror that is slow, or does not have the image, does not fail."""
    with node(rules) as one, one.agent() as agent:
        for _ in range(2):
            check(one.pull().wait(130.0) == 0, "the pull succeeds")
            one.lab.dockerd.api.remove_image(NAME)
        check(_incident(agent) is None, "no incident of the mirror")
        check(one.mirrors == [one.url], "the list is as it was")
    return Measured()


WANTED = "right reason, bypassed without a restart, image from the origin, the mirror back after it heals"
CASES = [
    Case("a mirror silent on a manifest", WANTED, partial(fails, SILENT_MANIFEST, "hangs")),
    Case("a mirror silent on the layers", WANTED, partial(fails, SILENT_LAYERS, "hangs")),
    Case("a mirror that answers 502 for a layer", WANTED, partial(fails, BAD_LAYERS, "5xx")),
    Case("a mirror that refuses in mid-pull", WANTED, partial(fails, SLOW_LAYERS, "refused", dies=True)),
    Case(
        "a mirror silent from the beginning", "bypassed; pulls take no 15 s more", silent_from_the_beginning
    ),
    Case("a mirror that refuses from the beginning", "told; dockerd passes it over by itself", passed_over),
    Case("a silent mirror that is the only way out", "never bypassed", only_way_out),
    Case("a slow mirror", "no incident", partial(almost, SLOW_LAYERS)),
    Case("a mirror without the image", "no incident", partial(almost, NOT_THERE)),
]
