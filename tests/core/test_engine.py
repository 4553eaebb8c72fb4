"""Whole stories, from the first frame to the last word."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import List

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Scene, enforce
from watchdog.core.casebook import ENDED_KEPT, UNSETTLED_NS, UNSETTLED_REPULL_NS
from watchdog.core.engine import Engine
from watchdog.core.observation import (
    ActionStarted,
    ClientScan,
    ExtractionScan,
    Frame,
    IncidentRemembered,
    LedgerSeen,
    OperatorSeen,
    Outcome,
    SensorState,
)
from watchdog.core.policy import DEFAULT_ON, SECOND_NS, Mode, Policy, Remedy
from watchdog.core.tick import Call

OTHER = "localhost:5000/other:1"
SMALL = 60 * MIB


@pytest.fixture
def scene() -> Scene:
    return Scene()


# --- stories with a good end ---------------------------------------------------------------------


def test_nothing_goes_on(scene):
    tick = scene.tick(5)

    assert (tick.sentence, tick.active) == ("no pull is under way", False)
    assert (tick.incidents, tick.decisions, tick.transitions) == ((), (), ())


def test_a_healthy_pull(scene):
    scene.pull(size=SMALL)
    tick = scene.tick(3)
    assert (tick.sentence, tick.active) == ("1 pull(s) under way, nothing stands still", True)
    assert tick.pulls[0].note.startswith("extracting a layer, ")
    assert [(stage.role, stage.still_samples) for stage in tick.stages] == [("decompressor", 0), ("untar", 0)]

    tick = scene.tick(60)

    assert (tick.sentence, scene.story) == ("no pull is under way", [])


def test_stopped_resumed_recovered(scene):
    one = scene.pull()
    scene.tick(3)
    scene.hang(one, "stopped")
    assert scene.tick(2).sentence == f"unpigz (pid {one.worker.key.pid}) has stood still for 2 of 4 samples"

    record = scene.until("recovered")

    assert scene.story == ["confirmed", "acting", "verifying", "recovered"]
    assert scene.effects == [("resume", one.worker.key.pid)]
    assert record["image"] == BIG
    assert [(act["name"], act["outcome"]) for act in record["actions"]] == [("resume", "done")]
    assert scene.tick(30).active  # the pull itself goes on


def test_blocked_killed_pulled_again_recovered(scene):
    one = scene.pull()
    scene.hang(one, "blocked")
    scene.until("verifying")
    assert scene.ticks[-1].awaited == (("docker", f"localhost:5000/big@{scene.manifests[0].digest}"),)

    scene.until("recovered")

    assert scene.story == ["confirmed", "acting", "verifying", "recovered"]
    assert [remedy for remedy, _ in scene.effects] == ["kill_decompressor", "repull"]
    assert scene.tick(20).awaited == ()
    assert not scene.ticks[-1].active


def test_a_fault_that_comes_back_is_substituted(scene):
    scene.fault = "spinning"
    scene.pull(size=SMALL)

    scene.until("recovered")

    assert [remedy for remedy, _ in scene.effects] == [
        "kill_decompressor",
        "repull",
        "substitute_decompressor",
        "kill_decompressor",
        "repull",
    ]
    assert scene.substituted
    assert scene.tick(20).sentence == "no pull is under way"


def test_a_stopped_daemon_is_continued_and_nothing_behind_it_is_touched(scene):
    one = scene.pull()
    scene.hang(one, "daemon_stopped")

    scene.until("recovered")

    assert scene.effects == [("resume", scene.daemon.key.pid)]
    assert len(scene.incidents) == 1


def test_of_two_pulls_only_the_hung_one_is_touched(scene):
    healthy = scene.pull(OTHER, size=900 * MIB)
    healthy.move(20 * MIB)
    hung = scene.pull()
    scene.hang(hung, "blocked")

    scene.until("recovered")

    assert {pid for _, pid in scene.effects} == {hung.worker.key.pid}
    assert healthy in scene.extractions


def test_two_hung_pulls_are_freed_one_after_the_other(scene):
    """They hang at different places, so whose layer is whose is certain."""
    scene.takes = 2
    first, second = scene.pull(), scene.pull(OTHER, size=90 * MIB)
    second.move(20 * MIB)
    scene.hang(first, "stopped")
    scene.hang(second, "stopped")

    scene.tick(30)

    assert scene.story.count("recovered") == 2
    assert len(set(scene.effects)) == 2


@pytest.mark.parametrize("kind", ["blocked", "frozen_v2", "untar_blocked", "storage", "daemon_stopped"])
def test_what_moves_again_by_itself_is_cleared(kind):
    scene = Scene(acts=False)
    one = scene.pull()
    scene.hang(one, kind)
    scene.until("confirmed")
    scene.go_on(one)

    record = scene.until("cleared")

    assert record["next"] == "it moves again by itself"
    assert record["verification"] is None


def test_what_ends_by_itself_is_gone():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.until("confirmed")
    scene.extractions.clear()

    assert scene.until("gone")["next"] == "it ended without an action of ours"


def test_what_was_cleared_may_hang_again():
    scene = Scene(acts=False)
    one = scene.pull()
    for _ in range(2):
        scene.hang(one, "blocked")
        scene.until("confirmed")
        scene.go_on(one)
        scene.until("cleared")

    assert scene.story == ["confirmed", "cleared"] * 2
    assert len(scene.incidents) == 1


# --- given up, and acknowledged ------------------------------------------------------------------


@pytest.fixture
def hopeless() -> Scene:
    """Every pull hangs, nothing prevents it, and the users try again and again."""
    scene = Scene(Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR}))
    scene.fault = "blocked"
    scene.pull(size=SMALL)
    scene.until("gave_up", within=300)
    return scene


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


# --- a person acts ---------------------------------------------------------------------------------


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


# --- the runtime is restarted ------------------------------------------------------------------------


def test_another_daemon_ends_the_incidents_of_the_old_ones_clients(scene):
    scene.acts = False
    scene.hang(scene.pull(), "untar_blocked")
    scene.until("confirmed")
    scene.restart_runtime()

    scene.until("gone")


def test_a_decompressor_that_outlives_its_daemon_is_not_touched_any_more(scene):
    scene.operator = OperatorSeen(inhibited=True)
    scene.hang(scene.pull(), "stopped")
    scene.until("confirmed")
    scene.restart_runtime()
    scene.tick()
    scene.operator = OperatorSeen()

    scene.tick(30)

    assert scene.decided == []
    assert "not seen to stand still" in scene.incident["next"]


def test_a_pull_of_the_new_daemon_is_another_incident(scene):
    scene.hang(scene.pull(), "stopped")
    scene.until("recovered")
    scene.restart_runtime()
    scene.hang(scene.pull(OTHER, size=90 * MIB), "stopped")
    scene.tick(20)

    assert len({record["id"] for record in scene.incidents}) == 2
    assert scene.story.count("recovered") == 2


# --- the agent is restarted ----------------------------------------------------------------------------


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


def test_an_unsettled_repull_is_waited_for_much_longer(scene):
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

    assert scene.until("gave_up")["next"] == "repull did not help"


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


# --- frames of all kinds ---------------------------------------------------------------------------------


def test_of_several_looks_in_one_frame_the_last_one_counts():
    """The first one would confirm, the second one shows that it moves."""
    scene = Scene(acts=False)
    one = scene.pull()
    scene.hang(one, "blocked")
    scene.tick(7)
    scene.now_ns += SECOND_NS
    still = scene.observe()
    one.worker.pass_bytes(1, 0)

    tick = scene.step([*still, scene.scan()])

    assert tick.incidents == ()
    assert "nothing stands still" in tick.sentence


def test_several_looks_that_agree_each_count():
    """A loop that was held up takes the looks of all those seconds at once."""
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.now_ns += SECOND_NS

    scene.step([*scene.observe(), *[scene.scan()] * 8])

    assert [record["cause"] for record in scene.incidents] == ["decompressor_blocked"]


def test_a_frame_without_a_look_changes_no_mind(scene):
    scene.acts = False
    scene.hang(scene.pull(), "blocked")
    scene.tick(5)
    said = scene.ticks[-1].sentence
    scene.blind.update((ExtractionScan, ClientScan))

    assert scene.tick(seconds=0.2).sentence == said


def test_an_empty_frame_is_a_frame():
    tick = Engine().step(Frame(5, ()))

    assert (tick.now_ns, tick.sentence) == (5, "no pull is under way")


def test_sensors_and_runtimes_are_told(scene):
    scene.news.append(SensorState("kernel", False, "no tracefs"))
    tick = scene.tick()

    assert tick.sensors == (SensorState("kernel", False, "no tracefs"),)
    assert [one.runtime for one in tick.runtimes] == ["docker"]


def test_only_what_changed_is_said_to_have_changed(scene):
    scene.hang(scene.pull(), "stopped")
    scene.until("confirmed")
    name = scene.incident["id"]
    assert scene.ticks[-1].changed == (name,)
    scene.until("recovered")
    assert scene.ticks[-1].changed == (name,)

    assert scene.tick().changed == ()


def test_old_stories_are_forgotten(scene):
    scene.acts = False
    for number in range(ENDED_KEPT + 5):
        one = scene.pull(f"localhost:5000/image{number}:1", client=False, manifest=False)
        scene.hang(one, "stopped")
        scene.tick(5)
        scene.extractions.clear()
        scene.tick()

    assert scene.story.count("gone") == ENDED_KEPT + 5
    assert len(scene.incidents) == ENDED_KEPT


def test_an_open_story_is_never_forgotten(scene):
    scene.acts = False
    scene.hang(scene.load(), "frozen_v2")
    scene.until("confirmed")
    first = scene.incident["id"]
    for _ in range(ENDED_KEPT + 2):
        one = scene.load()
        scene.hang(one, "stopped")
        scene.tick(5)
        scene.extractions.remove(one)
        scene.tick()

    assert scene.story.count("gone") == ENDED_KEPT + 2
    assert first in [record["id"] for record in scene.incidents]


def test_a_tick_is_one_line_of_json(scene):
    scene.hang(scene.pull(), "blocked")
    for _ in range(20):
        line = scene.tick().to_json()
        assert "\n" not in line
        assert json.loads(line)["now_ns"] == scene.now_ns
