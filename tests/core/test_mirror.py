"""core/mirror and the decision: when a mirror is bypassed, and when it is used again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.mirroring import URL, WALL_NS, Node, entry
from tests.core.network import DAEMON, SECOND_NS
from watchdog.core.causes.finding import Cause
from watchdog.core.decision import Act, Choice, Refuse, decide
from watchdog.core.history import History
from watchdog.core.incident import ActionTaken, Incident, State
from watchdog.core.mirror import HEALED_ANSWERS, bypassed, healed
from watchdog.core.observation import (
    LedgerEntry,
    LedgerSeen,
    MirrorSeen,
    Outcome,
    PolicySeen,
    ProcessSample,
)
from watchdog.core.policy import Mode, Policy, Remedy
from watchdog.core.target import Target

# --- what is done about it ------------------------------------------------------------------------


def decided(node: Node, *entries: LedgerEntry, on: bool = True) -> Choice:
    """About a mirror that was bypassed before, has served since, and fails again."""
    policy = Policy(mode=Mode.ENFORCE, remedies_on=frozenset({Remedy.BYPASS_MIRROR} if on else ()))
    node.see(PolicySeen(policy.to_json()), LedgerSeen(True, entries))
    incident = Incident(
        "pw-1",
        "docker",
        Cause.MIRROR_FAILING,
        State.CONFIRMED,
        ProcessSample(DAEMON, 1, "dockerd"),
        (),
        opened_wall_ns=WALL_NS,
        confirmed_wall_ns=WALL_NS,
        target=Target(endpoint=URL, reason="5xx"),
        actions=(ActionTaken("a", "bypass_mirror", WALL_NS, Outcome.DONE),),
    )
    return decide(incident, node.world, History(entries, WALL_NS + 3600 * SECOND_NS))


def test_it_is_bypassed_again_when_it_fails_again() -> None:
    choice = decided(Node(), entry("a", "intent"), entry("a", "revert", outcome=Outcome.DONE))

    assert isinstance(choice, Act)
    assert choice.remedy is Remedy.BYPASS_MIRROR


def test_not_more_often_than_its_budget_allows() -> None:
    intents = [entry(f"a{number}", "intent") for number in range(4)]

    choice = decided(Node(), *intents)

    assert isinstance(choice, Refuse)
    assert "budget" in choice.reason


def test_not_unless_it_is_named() -> None:
    choice = decided(Node(), on=False)

    assert isinstance(choice, Refuse)
    assert choice.reason == "switched off: bypass_mirror"


# --- back in use -----------------------------------------------------------------------------


def history(*entries: LedgerEntry) -> History:
    return History(entries, WALL_NS)


def answering(node: Node, action: str, answers: int) -> None:
    node.see(MirrorSeen("docker", URL, (), action, answers))


def test_what_is_bypassed_is_asked() -> None:
    (one,) = bypassed(history(entry("a", "intent"), entry("a", "result", outcome=Outcome.DONE)))

    assert (one.action, one.runtime, one.endpoint, one.image) == ("a", "docker", URL, "alpine:3")


@pytest.mark.parametrize("phase", ["result", "revert"])
def test_what_is_not_in_force_is_not_asked(phase: str) -> None:
    outcome = Outcome.REFUSED if phase == "result" else Outcome.DONE

    assert bypassed(history(entry("a", "intent"), entry("a", phase, outcome=outcome))) == ()


def test_it_comes_back_after_so_many_answers() -> None:
    node, past = Node(), history(entry("a", "intent"))
    answering(node, "a", HEALED_ANSWERS - 1)
    assert healed(past, node.world) is None
    answering(node, "a", HEALED_ANSWERS)

    assert healed(past, node.world) == past.entries[0]


def test_answers_to_an_earlier_bypass_do_not_count() -> None:
    node = Node()
    answering(node, "a", 10)

    assert healed(history(entry("b", "intent")), node.world) is None


def test_a_memory_that_cannot_be_read_is_left_to_its_expiry() -> None:
    node, torn = Node(), replace(entry("a", "intent"), detail_json="[]")

    assert healed(history(torn), node.world) is None
    assert bypassed(history(torn)) == ()
