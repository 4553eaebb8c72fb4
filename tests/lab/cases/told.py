"""What the log names and people mend, beside what nobody should be woken for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.images import BIG, SMALL
from tests.lab.lab import Lab
from tests.lab.proxy import MANIFESTS, FaultProxy, Rule

TOLD_WITHIN_S = 45.0
SETTLE_S = 8.0  # an agent that starts watches the runtime from its second look on
APART_S = 10.0  # as the kubelet waits between two attempts
# the body of docker.io's answer, as distribution writes its errors
LIMIT = '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
DENIED = '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
UNKNOWN = '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'


@contextmanager
def refused(status: int, body: str) -> Iterator[tuple[Agent, Callable[[], None]]]:
    """A registry that answers every manifest like this; the function pulls from it, and fails."""
    with Lab() as lab, FaultProxy(lab) as proxy, Agent(lab) as agent:
        proxy.rule(
            *(
                Rule(path=MANIFESTS, method=method, status=status, body=body, content_type="application/json")
                for method in ("GET", "HEAD")
            )
        )

        time.sleep(SETTLE_S)

        def pull() -> None:
            client = lab.client("pull", proxy.reference(SMALL))
            check(client.wait(60.0) != 0, f"the pull fails: {client.output}")

        yield agent, pull


def at_once(status: int, body: str, cause: str) -> Measured:
    """One failure is enough."""
    with refused(status, body) as (agent, pull):
        began = time.monotonic()
        pull()
        return told(agent, cause, began)


def again_and_again(status: int, body: str, cause: str) -> Measured:
    """Somebody asks again and again, as the kubelet does."""
    with refused(status, body) as (agent, pull):
        pull()
        time.sleep(APART_S)
        pull()
        check(agent.incidents() == [], f"twice is no incident: {agent.incidents()}")
        time.sleep(APART_S)
        began = time.monotonic()
        pull()
        return told(agent, cause, began)


def mistyped(status: int, body: str) -> Measured:
    """A person's pull that fails is that person's."""
    with refused(status, body) as (agent, pull):
        pull()
        time.sleep(20.0)
        check(agent.incidents() == [], f"no incident: {agent.incidents()}")
        return Measured(seen="no incident")


def full_disk() -> Measured:
    """An image that does not fit on dockerd's disk."""
    with Lab(disk_mb=400) as lab:
        lab.registry.publish(BIG)
        with Agent(lab) as agent:
            time.sleep(SETTLE_S)
            began = time.monotonic()
            client = lab.pull(BIG)
            check(client.wait(120.0) != 0, "the pull fails")
            return told(agent, "disk_full", began)


def told(agent: Agent, cause: str, began: float) -> Measured:
    """One incident with two kinds of evidence; nothing is done."""
    incident = agent.incident(cause, deadline_s=TOLD_WITHIN_S)
    took = time.monotonic() - began
    check(len({one["kind"] for one in incident["evidence"]}) > 1, f"two kinds: {incident['evidence']}")
    check(incident["advice"], "whose turn it is, is told")
    check({one["cause"] for one in agent.incidents()} == {cause}, f"only {cause}: {agent.incidents()}")
    check(not actions(agent), f"nothing is done: {actions(agent)}")
    return Measured({"told": took})


CASES = [
    Case(
        "a registry that limits its pulls",
        "rate_limited, told at once",
        lambda: at_once(429, LIMIT, "rate_limited"),
    ),
    Case("a disk that is too small", "disk_full, told at once", full_disk),
    Case(
        "an image that is missing, asked for three times",
        "not_found, told at the third",
        lambda: again_and_again(404, UNKNOWN, "not_found"),
    ),
    Case(
        "an image that is denied, asked for three times",
        "auth, told at the third",
        lambda: again_and_again(403, DENIED, "auth"),
    ),
    Case("a mistyped image", "no incident", lambda: mistyped(404, UNKNOWN)),
    Case("a pull without a login", "no incident", lambda: mistyped(403, DENIED)),
]
