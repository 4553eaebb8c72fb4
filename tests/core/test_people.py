"""What people do: they acknowledge, and they act themselves."""

from __future__ import annotations

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Scene, enforce
from tests.core.variants import given_up
from watchdog.core.observation import (
    OperatorSeen,
    Outcome,
)
from watchdog.core.policy import Policy
from watchdog.core.tick import Call

OTHER = "localhost:5000/other:1"
SMALL = 60 * MIB


@pytest.fixture
def hopeless() -> Scene:
    return given_up()


@pytest.fixture
def scene() -> Scene:
    return Scene()


# --- given up, and acknowledged -------------------------------------------------------------------


def kills(scene: Scene) -> int:
    return [remedy for remedy, _ in scene.effects].count("kill_decompressor")


def test_a_spent_budget_ends_in_giving_up_and_nothing_follows(hopeless):
    effects = list(hopeless.effects)
    assert kills(hopeless) == 3

    hopeless.tick(200)

    assert hopeless.effects == effects
    assert hopeless.incident["state"] == "gave_up"
    assert "gave_up" in hopeless.ticks[-1].sentence


def test_an_acknowledgement_starts_anew_and_counts_once(hopeless):
    hopeless.fault = ""
    hopeless.acknowledge(hopeless.incident["id"])

    hopeless.until("recovered")
    hopeless.tick(30)

    assert kills(hopeless) == 4
    assert hopeless.story.count("gave_up") == 1


def test_after_an_acknowledgement_it_may_be_given_up_again(hopeless):
    given_up = hopeless.incident["id"]
    hopeless.acknowledge(given_up)
    hopeless.tick(200)

    assert kills(hopeless) == 6
    assert hopeless.story.count("gave_up") == 2
    assert hopeless.incident["state"] == "gave_up"


def test_an_old_acknowledgement_is_not_applied_again_by_a_new_agent(hopeless):
    """Times in a record are cut to the millisecond, and the ledger's are not."""
    hopeless.outcomes["kill_decompressor"] = Outcome.FAILED
    hopeless.now_ns += 123_456
    hopeless.acknowledge(hopeless.incident["id"])
    hopeless.until("gave_up")
    hopeless.tick(120)
    assert hopeless.incident["state"] == "gave_up"
    told = list(hopeless.story)
    hopeless.tick(5)
    assert hopeless.story == told

    hopeless.restart_agent()
    hopeless.tick(60)

    assert hopeless.story == told


def test_an_acknowledgement_of_what_is_not_given_up_changes_nothing(scene):
    scene.acts = False
    scene.hang(scene.pull(), "frozen_v2")
    scene.until("confirmed")
    scene.acknowledge(scene.incident["id"])
    scene.tick(5)

    assert scene.story == ["confirmed"]


def test_a_given_up_incident_stays_until_it_is_acknowledged_also_when_its_process_ended(hopeless):
    why = hopeless.incident["next"]
    hopeless.extractions.clear()
    hopeless.tick(5)
    assert (hopeless.incident["state"], hopeless.incident["next"]) == ("gave_up", why)
    assert hopeless.incident["resolved_at"] is not None
    assert not hopeless.ticks[-1].active

    hopeless.acknowledge(hopeless.incident["id"])
    hopeless.until("gone")


def test_a_given_up_incident_that_hangs_again_is_unresolved_again():
    scene = Scene(enforce())
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    one = scene.pull()
    scene.hang(one, "blocked")
    scene.until("gave_up")
    scene.go_on(one)
    scene.tick(2)
    assert scene.incident["resolved_at"] is not None

    scene.hang(one, "blocked")
    scene.tick(10)

    assert (scene.incident["state"], scene.incident["resolved_at"]) == ("gave_up", None)


# --- a person acts --------------------------------------------------------------------------------


def by_hand(scene: Scene, remedy: str, outcome: Outcome = Outcome.DONE) -> None:
    """`pull-watchdog act REMEDY`: nobody tells the agent, only the ledger knows."""
    incident = scene.incident["id"]
    scene.write("by-hand", "intent", incident, remedy)
    if outcome is Outcome.DONE:
        scene.effect(remedy, incident)
    scene.write("by-hand", "result", incident, remedy, outcome, detail="by hand")


@pytest.fixture
def watched() -> Scene:
    """A blocked pull in observe mode."""
    scene = Scene(Policy())
    scene.hang(scene.pull(), "blocked")
    scene.until("confirmed")
    return scene


def test_a_persons_kill_is_seen_through_the_ledger_and_verified(watched):
    by_hand(watched, "kill_decompressor")
    watched.tick(4)
    assert watched.incident["state"] == "verifying"
    assert (watched.decision.call, watched.decision.remedy) == (Call.WOULD_ACT, "repull")

    by_hand_record = watched.incident["actions"][0]
    watched.extract(BIG, SMALL, watched.manifests[0].digest)

    watched.until("recovered")
    assert (by_hand_record["name"], by_hand_record["detail"]) == ("kill_decompressor", "by hand")


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED])
def test_a_persons_act_without_effect_leaves_it_as_it_was(watched, outcome):
    by_hand(watched, "kill_decompressor", outcome)
    watched.tick(3)

    assert watched.story == ["confirmed", "acting", "confirmed"]
    assert watched.incident["actions"][0]["outcome"] == outcome.value


def test_a_persons_act_that_is_under_way_is_waited_for():
    scene = Scene(acts=False)
    scene.operator = OperatorSeen(1 << 62, "I am on it")
    scene.hang(scene.pull(), "blocked")
    scene.until("confirmed")
    scene.write("by-hand", "intent", scene.incident["id"], "kill_decompressor")
    scene.operator = OperatorSeen()

    scene.tick(20)

    assert scene.incident["state"] == "acting"
    assert scene.decided == []


def test_a_persons_act_on_what_was_given_up_is_verified(hopeless):
    hopeless.fault = ""
    by_hand(hopeless, "kill_decompressor")

    hopeless.until("recovered")

    assert hopeless.story[-4:] == ["gave_up", "acting", "verifying", "recovered"]


def test_a_persons_refused_act_does_not_end_our_own(scene):
    scene.takes = 5
    scene.hang(scene.pull(), "stopped")
    scene.until("acting")
    by_hand(scene, "resume", Outcome.REFUSED)

    scene.until("recovered")

    assert scene.story == ["confirmed", "acting", "verifying", "recovered"]
