"""A new agent goes on with what the old one left."""

from __future__ import annotations

from dataclasses import replace
from typing import List

import pytest

from tests.core.machine import MIB
from tests.core.scene import Scene
from tests.core.variants import given_up
from watchdog.core.casebook import UNSETTLED_NS, UNSETTLED_REPULL_NS
from watchdog.core.observation import (
    ActionStarted,
    IncidentRemembered,
    LedgerSeen,
    Outcome,
)

OTHER = "localhost:5000/other:1"
SMALL = 60 * MIB


@pytest.fixture
def hopeless() -> Scene:
    return given_up()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_new_agent_confirms_for_itself_before_it_acts():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.until("confirmed")
    scene.restart_agent()
    before = len(scene.decided)

    scene.tick(8)
    assert len(scene.decided) == before
    scene.tick()

    assert scene.decided[before:] == ["kill_decompressor"]
    assert len(scene.incidents) == 1


def test_what_went_away_meanwhile_is_gone_for_the_new_agent():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.until("confirmed")
    scene.extractions.clear()
    scene.restart_agent()

    scene.until("gone")


@pytest.fixture
def cut_short() -> Scene:
    """An agent whose kill has been decided, and nothing more."""
    scene = Scene()
    scene.hang(scene.pull(), "blocked")
    scene.acts = False
    scene.until("confirmed")
    scene.acts = True
    return scene


def test_the_agent_died_before_the_intent(cut_short):
    cut_short.restart_agent()

    cut_short.until("recovered")

    assert [remedy for remedy, _ in cut_short.effects] == ["kill_decompressor", "repull"]


def test_the_agent_died_when_it_knew_of_a_start_and_the_ledger_does_not(cut_short):
    cut_short.acts = False
    cut_short.news.append(ActionStarted("kill-0", cut_short.incident["id"], "kill_decompressor"))
    assert cut_short.tick().incidents[0]["state"] == "acting"
    cut_short.restart_agent()
    assert cut_short.tick().incidents[0]["state"] == "confirmed"
    assert cut_short.incident["actions"] == []

    cut_short.acts = True
    cut_short.until("recovered")

    assert [remedy for remedy, _ in cut_short.effects] == ["kill_decompressor", "repull"]


def test_intent_and_no_effect_and_the_settling_says_so(cut_short):
    """`settle` writes that it never began; then it is done."""
    incident = cut_short.incident["id"]
    cut_short.write("kill-0", "intent", incident, "kill_decompressor")
    cut_short.restart_agent()
    cut_short.tick(12)
    assert cut_short.incident["state"] == "acting"
    cut_short.write("kill-0", "result", incident, "kill_decompressor", Outcome.REFUSED, detail="never began")

    cut_short.until("recovered")

    assert [remedy for remedy, _ in cut_short.effects] == ["kill_decompressor", "repull"]


def test_effect_and_no_result_and_the_settling_says_so(cut_short):
    incident = cut_short.incident["id"]
    cut_short.write("kill-0", "intent", incident, "kill_decompressor")
    cut_short.effect("kill_decompressor", incident)
    cut_short.restart_agent()
    cut_short.tick(3)
    assert cut_short.incident["state"] == "acting"  # not "it ended without an action of ours"
    cut_short.write("kill-0", "result", incident, "kill_decompressor", Outcome.DONE)

    cut_short.until("recovered")

    assert [remedy for remedy, _ in cut_short.effects] == ["kill_decompressor", "repull"]


def test_the_ledger_comes_later_than_the_first_look(cut_short):
    incident = cut_short.incident["id"]
    cut_short.write("kill-0", "intent", incident, "kill_decompressor")
    cut_short.effect("kill_decompressor", incident)
    cut_short.write("kill-0", "result", incident, "kill_decompressor", Outcome.DONE)
    cut_short.restart_agent()
    cut_short.blind.add(LedgerSeen)
    cut_short.tick(5)
    cut_short.blind.clear()

    cut_short.until("recovered")

    assert [remedy for remedy, _ in cut_short.effects] == ["kill_decompressor", "repull"]


def test_nobody_settles_it(cut_short):
    """After ten minutes its effect counts as unknown."""
    incident = cut_short.incident["id"]
    cut_short.write("kill-0", "intent", incident, "kill_decompressor")
    cut_short.effect("kill_decompressor", incident)
    cut_short.restart_agent()
    cut_short.tick()
    cut_short.now_ns += UNSETTLED_NS

    cut_short.until("recovered")

    assert cut_short.incident["actions"][0]["outcome"] == "expired"
    assert [remedy for remedy, _ in cut_short.effects] == ["kill_decompressor", "repull"]


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.REFUSED])
def test_the_ledger_corrects_what_the_agent_could_not_know(scene, outcome):
    """Its process died without a word; the next one settles what became of it."""
    scene.outcomes["kill_decompressor"] = None
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    incident, action = scene.incident["id"], scene.ledger.entries[-1].action
    if outcome is Outcome.DONE:
        scene.effect("kill_decompressor", incident)
    scene.outcomes.clear()
    scene.write(action, "result", incident, "kill_decompressor", outcome)

    record = scene.until("recovered")

    assert record["actions"][0]["outcome"] == outcome.value
    assert [remedy for remedy, _ in scene.effects] == ["kill_decompressor", "repull"]


def test_the_result_came_and_the_agent_did_not_live_to_see_it(scene):
    scene.takes = 99
    scene.hang(scene.pull(), "blocked")
    scene.until("acting")
    scene.takes = 0
    scene.restart_agent()

    scene.until("recovered")

    assert [remedy for remedy, _ in scene.effects] == ["kill_decompressor", "repull"]


def test_while_the_repull_is_under_way(scene):
    """It goes on by itself, and is not made twice."""
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    scene.tick(2)
    assert scene.decided[-1] == "repull"
    scene.restart_agent()

    scene.until("recovered")

    assert [remedy for remedy, _ in scene.effects] == ["kill_decompressor", "repull"]


@pytest.mark.parametrize("wrote_intent", [True, False])
def test_a_repull_that_died_with_the_agent_is_made_again(scene, wrote_intent):
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    kill = scene.ledger
    scene.takes = 99
    scene.tick(2)
    assert scene.decided[-1] == "repull"
    scene.extractions.clear()
    scene.ledger = replace(kill, entries=scene.ledger.entries[:3] if wrote_intent else kill.entries)
    scene.takes = 0
    scene.restart_agent()
    scene.tick(5)
    if wrote_intent:
        assert scene.decision.reason == "the repull is under way"
        scene.write(
            scene.ledger.entries[-1].action, "result", scene.incident["id"], "repull", Outcome.REFUSED
        )

    scene.until("recovered")

    assert [remedy for remedy, _ in scene.effects] == ["kill_decompressor", "repull", "repull"]


def test_an_unsettled_repull_is_waited_for_much_longer_and_then_asked_for_again(scene):
    scene.hang(scene.pull(), "blocked")
    scene.until("verifying")
    scene.takes = 99
    scene.tick(2)
    scene.extractions.clear()
    scene.ledger = replace(scene.ledger, entries=scene.ledger.entries[:3])
    scene.restart_agent()
    scene.now_ns += UNSETTLED_NS
    scene.tick(5)
    assert scene.incident["state"] == "verifying"

    scene.now_ns += UNSETTLED_REPULL_NS
    scene.takes = 0
    scene.until("recovered")

    assert scene.decided[-1] == "repull"


def test_a_stopped_again_process_is_known_to_the_new_agent(scene):
    one = scene.pull()
    scene.hang(one, "stopped")
    scene.until("recovered")
    scene.restart_agent()
    scene.hang(one, "stopped")
    scene.tick(30)

    assert scene.decided == ["resume"]
    assert scene.story[-1] == "confirmed"
    assert "stopped again after we continued it" in scene.decision.reason


def test_a_kill_that_the_ledger_knows_is_not_made_again_though_the_record_is_lost(scene):
    class Undead(Scene):
        def killed(self, pids: set) -> None:
            """In uninterruptible sleep, perhaps."""

    scene = Undead()
    scene.hang(scene.pull(), "blocked")
    scene.until("gave_up")
    scene.ticks.clear()
    scene.restart_agent()

    scene.until("gave_up")

    assert [remedy for remedy, _ in scene.effects] == ["kill_decompressor"]


def states_of_another_boot() -> List[str]:
    return ["confirmed", "acting", "verifying"]


@pytest.mark.parametrize("state", states_of_another_boot())
def test_after_a_reboot_its_subject_is_gone(scene, state):
    scene.takes = 3
    scene.hang(scene.pull(), "blocked")
    scene.until(state)
    scene.boot_id = "boot-2"
    scene.extractions.clear()
    scene.clients.clear()
    scene.restart_agent()

    record = scene.tick().incidents[0]

    assert (record["state"], record["next"]) == ("gone", "it was of another boot")
    scene.tick(30)
    assert "repull" not in scene.decided


def test_after_a_reboot_what_was_given_up_stays_given_up(hopeless):
    hopeless.boot_id = "boot-2"
    hopeless.extractions.clear()
    hopeless.restart_agent()
    hopeless.tick(3)

    assert [record["state"] for record in hopeless.incidents] == ["gave_up"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '"x"', "{}", '{"schema":2}', '{"schema":1,"id":"pw-1"}'],
    ids=repr,
)
def test_a_record_that_cannot_be_read_is_passed_over(scene, text):
    scene.news.append(IncidentRemembered(text))
    scene.hang(scene.pull(), "stopped")

    scene.until("recovered")

    assert len(scene.incidents) == 1
