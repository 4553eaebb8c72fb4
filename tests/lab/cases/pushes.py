"""Pushes that are not answered, refused or cut; each beside one that gets on, and what almost is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.clients import Client
from tests.lab.images import MB, MULTI, OTHER, SMALL, Image
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx
from tests.lab.proxy import BEFORE_HEAD, Ending, FaultProxy, Rule

SOON = {"push_commit": 15}  # the field's minute, scaled down
SILENT: dict[str, Any] = {"after_bytes": BEFORE_HEAD, "ending": Ending.STALL}
UPLOADS = "/faulty/blobs/uploads/"
MANIFEST = "/faulty/manifests/"
INTERNAL = '{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}\n'
INGRESS = "default backend - 404"
WATCH_S = 75.0


@dataclass
class Scene:
    """A dockerd with images to push, a registry behind a fault proxy, and the agent.

    `port`: at which dockerd asks the registry.
    """

    lab: Lab
    proxy: FaultProxy
    agent: Agent
    port: int

    def push(self, image: Image, repository: str = "faulty") -> Client:
        """Start `docker push` of an image to a repository of the registry behind the proxy."""
        target = f"localhost:{self.port}/{repository}"
        source = self.lab.registry.reference(image)
        self.lab.dockerd.api.call("POST", f"/images/{source}/tag?repo={target}&tag=1")
        return self.lab.client("push", f"{target}:1")

    def told(self, cause: str, reason: str, beside: Image = OTHER) -> Measured:
        """The cause is confirmed with its reason, nothing is done, and another push gets on."""
        well = self.push(beside, "well")
        began = time.monotonic()
        incident = self.agent.incident(cause, deadline_s=90.0)
        confirmed = time.monotonic() - began
        target = incident["target"]
        check(target["reason"] == reason, f"the reason is {reason}, not {target['reason']}")
        check(target["endpoint"] == f"localhost:{self.port}", f"the registry is named: {target}")
        check(len({one["kind"] for one in incident["evidence"]}) > 1, f"two kinds: {incident['evidence']}")
        check(well.wait(60.0) == 0, f"another push gets on: {well.output[-300:]}")
        causes = {one["cause"] for one in self.agent.incidents()}
        check(causes == {cause}, f"only {cause} is told, not {causes}")
        check(not actions(self.agent), f"nothing is done: {actions(self.agent)}")
        return Measured({"confirmed": confirmed}, seen=incident["next"][:120])


@contextmanager
def scene(*images: Image, **options: Any) -> Iterator[Scene]:
    """With these images in the dockerd, ready to be pushed."""
    with Lab() as lab:
        for image in images:
            check(lab.pull(image).wait(90.0) == 0, f"{image.repository} is there")
        with FaultProxy(lab) as proxy, Agent(lab, **options) as agent:
            yield Scene(lab, proxy, agent, proxy.port)


@contextmanager
def front(one: Scene, tls: bool) -> Iterator[Scene]:
    """The scene as it is, or with TLS before the proxy."""
    if not tls:
        yield one
        return
    # The registry names its upload addresses without TLS, as it is asked without.
    how = ("proxy_read_timeout 600s", "proxy_request_buffering off", "proxy_redirect http:// https://")
    with Nginx(one.lab, [Front(one.proxy.port, how, tls=True)]) as nginx:
        yield replace(one, port=nginx.port)


def unanswered(path: str, tls: bool = False) -> Measured:
    """The last PUT is never answered: told, and the push is left to its own."""
    with scene(SMALL, OTHER, thresholds=SOON) as one, front(one, tls) as one:
        one.proxy.rule(Rule(path=path, method="PUT", **SILENT))
        push = one.push(SMALL)
        measured = one.told("push_commit_stalled", "no_answer")
        check(push.running, "the push is not ended")
        return measured


def joined_after_its_client_left() -> Measured:
    """A second push of the same layer waits for what the first one's client has left behind."""
    with scene(SMALL, OTHER, thresholds=SOON) as one:
        one.proxy.rule(Rule(path=UPLOADS, method="PUT", **SILENT))
        first = one.push(SMALL)
        time.sleep(4.0)
        first.give_up()
        one.proxy.rule()
        second = one.push(SMALL)
        measured = one.told("push_commit_stalled", "no_answer")
        check(second.running, "the second push waits, although the registry is well")
        return measured


def refused(status: int, path: str, method: str, body: str, cause: str, reason: str) -> Measured:
    """An error as the answer: which one is told."""
    image = MULTI if cause == "registry_overloaded" else SMALL
    with scene(image, OTHER) as one:
        one.proxy.rule(Rule(path=path, method=method, status=status, body=body))
        one.push(image)
        return one.told(cause, reason)


def cut() -> Measured:
    """Each upload is reset on its way: the layer is sent again and again."""
    with scene(SMALL, OTHER) as one:
        one.proxy.rule(Rule(path=UPLOADS, method="PATCH", upload_bytes=5 * MB))
        one.push(SMALL)
        return one.told("push_retry_loop", "net_reset")


def slow_commit() -> Measured:
    """A registry that takes 25 s to keep a layer, and 25 s for the manifest."""
    with scene(SMALL) as one:
        slow = {"method": "PUT", "delay_s": 25.0}
        one.proxy.rule(Rule(path=UPLOADS, **slow), Rule(path=MANIFEST, **slow))  # type: ignore[arg-type]
        push = one.push(SMALL)
        check(push.wait(120.0) == 0, f"the push ends well: {push.output[-300:]}")
        return nothing(one)


def slow_upload() -> Measured:
    """A layer that goes up at 20 KB/s, and a second push of it that waits behind."""
    with scene(SMALL) as one:
        rule = Rule(path=UPLOADS, method="PATCH", upload_bytes=1000 * MB, rate_bytes_per_s=20_000)
        one.proxy.rule(rule)
        pushes = [one.push(SMALL), one.push(SMALL)]
        time.sleep(WATCH_S)
        check(all(push.running for push in pushes), "both pushes go on")
        return nothing(one)


def healthy() -> Measured:
    """Four layers at once, taken as they come."""
    with scene(MULTI) as one:
        push = one.push(MULTI)
        check(push.wait(90.0) == 0, f"the push ends well: {push.output[-300:]}")
        time.sleep(3.0)
        return nothing(one)


def nothing(one: Scene) -> Measured:
    check(one.agent.incidents() == [], f"no incident: {one.agent.incidents()}")
    return Measured(seen="no incident")


_ANSWERS = [
    (500, UPLOADS, "PUT", INTERNAL, "registry_error", "500"),
    (502, UPLOADS, "PUT", "", "registry_error", "502"),
    (504, UPLOADS, "POST", "<html>504 Gateway Time-out</html>", "registry_error", "504"),
    (404, UPLOADS, "POST", INGRESS, "registry_error", "ingress_404"),
    (404, MANIFEST, "PUT", INGRESS, "registry_error", "ingress_404"),
    (500, UPLOADS, "PUT", INTERNAL, "registry_overloaded", "500"),
]
CASES = [
    Case("a push whose commit is never answered", "push_commit_stalled, told", partial(unanswered, UPLOADS)),
    Case("a push whose manifest is never answered", "the same", partial(unanswered, MANIFEST)),
    Case("the same behind TLS, a push's commit", "the same", partial(unanswered, UPLOADS, tls=True)),
    Case("a push that joins one whose client left", "the same", joined_after_its_client_left),
    *(
        Case(
            f"a push that gets {answer[5]} on {answer[2]}"
            + (", of four layers" if "over" in answer[4] else ""),
            f"{answer[4]}, {answer[5]}",
            partial(refused, *answer),
        )
        for answer in _ANSWERS
    ),
    Case("a push whose uploads are cut", "push_retry_loop", cut),
    Case("a push that is kept after 25 s, twice", "no incident", slow_commit),
    Case("a push at 20 KB/s, another behind it", "no incident", slow_upload),
    Case("a healthy push of four layers", "no incident", healthy),
]
