"""Stronger remedies, prevention, and the undoing of what lasts."""

from __future__ import annotations

import pytest

from tests.core.deciding import last, scene_with, use
from tests.core.machine import MIB
from tests.core.scene import Scene, enforce
from watchdog.core.observation import (
    ActionStarted,
    OperatorSeen,
    Outcome,
)
from watchdog.core.policy import (
    DAY_NS,
    DEFAULT_ON,
    MINUTE_NS,
    SECOND_NS,
    Mode,
    Policy,
    Remedy,
)
from watchdog.core.tick import Call

OTHER = "localhost:5000/other:1"


# --- stronger remedies ----------------------------------------------------------------------------


def test_a_restart_comes_only_after_the_kill():
    scene = Scene(enforce(Remedy.RESTART_RUNTIME))
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    scene_with("blocked", scene, looks=60)

    assert scene.decided == ["kill_decompressor", "kill_decompressor", "restart_runtime"]


def test_pigz_is_not_disabled_for_a_fault_that_came_once():
    scene = Scene(enforce(Remedy.DISABLE_PIGZ, Remedy.RESTART_RUNTIME))
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    scene_with("blocked", scene, looks=60)

    assert "disable_pigz" not in scene.decided


def test_pigz_is_disabled_for_a_fault_that_came_back():
    scene = Scene(enforce(Remedy.DISABLE_PIGZ, Remedy.RESTART_RUNTIME))
    scene.outcomes.update(kill_decompressor=Outcome.FAILED, substitute_decompressor=Outcome.REFUSED)
    recurring(scene)
    scene.tick(60)

    assert scene.decided == [
        "substitute_decompressor",
        "kill_decompressor",
        "kill_decompressor",
        "disable_pigz",
    ]


def test_a_stopped_daemon_that_cannot_be_continued_is_restarted_where_that_is_allowed():
    scene = Scene(enforce(Remedy.RESTART_RUNTIME))
    scene.outcomes["resume"] = Outcome.FAILED
    scene_with("daemon_stopped", scene, looks=40)

    assert scene.decided == ["resume", "resume", "restart_runtime"]


@pytest.mark.parametrize("kind", ["stopped", "untar_stopped", "daemon_stopped"])
def test_what_was_stopped_again_after_us_is_left_alone(kind):
    """Everything is allowed here, and still nothing stronger follows."""
    scene = Scene(enforce(*Remedy))
    one = scene.pull()
    scene.hang(one, kind)
    scene.until("recovered")
    scene.hang(one, kind)

    scene.until("confirmed")
    scene.tick(20)

    assert scene.decided == ["resume"]
    assert "stopped again after we continued it" in scene.decision.reason


def test_what_moves_again_and_hangs_otherwise_is_freed_otherwise():
    scene = Scene()
    one = scene.pull()
    scene.hang(one, "stopped")
    scene.until("recovered")
    scene.hang(one, "blocked")
    scene.tick(20)

    assert scene.decided[:2] == ["resume", "kill_decompressor"]


# --- prevention -----------------------------------------------------------------------------------


def recurring(scene: Scene, kind: str = "blocked") -> None:
    """A hang, on a host whose ledger knows that a blocked decompressor was killed within a day."""
    probe = scene_with("blocked", Scene(acts=False))
    use(probe, "kill_decompressor")
    scene.ledger = probe.ledger
    scene.hang(scene.pull(), kind)
    scene.tick(10)


def test_a_fault_that_came_back_is_taken_away_before_it_is_freed():
    scene = Scene()
    recurring(scene)
    scene.tick(5)

    assert scene.decided[:2] == ["substitute_decompressor", "kill_decompressor"]
    assert scene.incident["recurrence"] == 1


def test_a_fault_that_came_once_is_only_freed():
    scene = scene_with("blocked", Scene())

    assert scene.decided[0] == "kill_decompressor"


def test_a_fault_that_shows_itself_late_has_come_back_too():
    """Stopped at first, hung only after we continued it."""
    scene = Scene()
    recurring(scene, "stopped")
    scene.until("recovered")
    scene.hang(scene.extractions[0], "blocked")
    scene.tick(20)

    assert scene.decided[:3] == ["resume", "substitute_decompressor", "kill_decompressor"]


@pytest.mark.parametrize("kind", ["stopped", "untar_blocked"])
def test_what_a_substitution_cannot_prevent_brings_none(kind):
    scene = Scene()
    recurring(scene, kind)
    scene.tick(5)

    assert "substitute_decompressor" not in scene.decided


def test_a_substitution_that_is_off_does_not_hold_up_the_kill():
    policy = Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR})
    scene = Scene(policy)
    recurring(scene)

    assert scene.decided[0] == "kill_decompressor"


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.EXPIRED])
def test_a_substitution_that_was_not_made_does_not_hold_up_the_kill(outcome):
    scene = Scene()
    scene.outcomes["substitute_decompressor"] = outcome
    recurring(scene)
    scene.tick(8)

    assert scene.decided[:2] == ["substitute_decompressor", "kill_decompressor"]


def test_a_substitution_in_force_is_not_made_again():
    scene = Scene()
    recurring(scene)
    scene.until("recovered")
    scene.substituted = False  # it did not help, say
    scene.now_ns += MINUTE_NS  # more than its cool-down
    again = scene.pull(OTHER, size=90 * MIB)
    scene.hang(again, "blocked")
    scene.tick(15)

    assert scene.decided.count("substitute_decompressor") == 1
    assert scene.decided.count("kill_decompressor") == 2


def test_a_substitution_of_an_earlier_boot_is_in_force_no_more():
    scene = Scene()
    recurring(scene)
    scene.until("recovered")
    scene.boot_id = "boot-2"
    scene.substituted = False
    scene.restart_agent()
    scene.tick(90)  # the old one is undone first
    scene.hang(scene.pull(OTHER, size=90 * MIB), "blocked")
    scene.tick(15)

    assert scene.decided.count("substitute_decompressor") == 3  # made, undone, made


# --- undoing --------------------------------------------------------------------------------------


@pytest.fixture
def expired() -> Scene:
    """A substitution whose time is over; nothing else goes on."""
    scene = Scene()
    recurring(scene)
    scene.until("recovered")
    scene.acts = False
    scene.now_ns += DAY_NS
    return scene


def test_a_lasting_change_is_undone_when_its_time_is_over(expired):
    (action,) = [
        one.action for one in expired.ledger.entries if one.phase == "intent" and one.expires_wall_ns
    ]

    decision = last(expired)

    assert (decision.call, decision.remedy, decision.undo) == (Call.ACT, "substitute_decompressor", action)


def test_before_its_time_it_is_not(expired):
    expired.now_ns -= 60 * SECOND_NS
    expired.tick()

    assert expired.ticks[-1].decisions == ()


def test_it_is_undone_once(expired):
    expired.acts = True
    expired.tick(200)

    assert [one.undo is not None for one in expired.decisions(Call.ACT)].count(True) == 1
    assert not expired.substituted


def test_an_undoing_that_failed_is_tried_again_after_a_minute(expired):
    undo = last(expired)
    expired.write(undo.undo, "revert", undo.incident, undo.remedy, Outcome.FAILED)

    expired.tick(30)
    assert expired.ticks[-1].decisions == ()
    expired.tick(31)

    assert [one.undo for one in expired.ticks[-1].decisions] == [undo.undo]


def test_in_observe_mode_the_undoing_is_only_told(expired):
    expired.policy = Policy()

    assert last(expired).call is Call.WOULD_ACT


@pytest.mark.parametrize(
    ("field", "reason"), [({"inhibited": True}, "inhibited"), ({"paused_until_wall_ns": 1 << 62}, "paused")]
)
def test_inhibit_and_pause_hold_it_up(expired, field, reason):
    expired.operator = OperatorSeen(**field)

    decision = last(expired)

    assert (decision.call, decision.undo is not None) == (Call.WAIT, True)
    assert reason in decision.reason


def test_it_waits_for_an_action_that_is_in_flight(expired):
    expired.news.append(ActionStarted("kill-1", "pw-other", "kill_decompressor"))

    assert last(expired).call is Call.WAIT


def test_freeing_comes_before_undoing(expired):
    expired.hang(expired.pull(OTHER, size=90 * MIB), "stopped")
    expired.tick(6)

    acts = [one for one in expired.ticks[-1].decisions if one.call is Call.ACT]

    assert [(one.remedy, one.undo) for one in acts] == [("resume", None)]
