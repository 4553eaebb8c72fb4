"""Act, wait or refuse: the first rung, what is not ours, and who has forbidden it."""

from __future__ import annotations

import pytest

from tests.core.deciding import assert_acts, assert_refuses, assert_waits, last, scene_with
from tests.core.machine import BIG, MIB
from tests.core.scene import Scene, enforce
from watchdog.core.observation import (
    ActionStarted,
    ClientScan,
    ExtractionScan,
    LedgerSeen,
    OperatorSeen,
    RuntimeSeen,
    SensorState,
    Sight,
)
from watchdog.core.policy import (
    DEFAULT_ON,
    SECOND_NS,
    Mode,
    Policy,
    Remedy,
)
from watchdog.core.tick import Call

OTHER = "localhost:5000/other:1"


@pytest.fixture
def blocked() -> Scene:
    """A hung decompressor, confirmed; decisions are only told."""
    return scene_with("blocked", Scene(acts=False))


# --- the first rung -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        ("stopped", "resume"),
        ("untar_stopped", "resume"),
        ("daemon_stopped", "resume"),
        ("spinning", "kill_decompressor"),
        ("blocked", "kill_decompressor"),
        ("untar_blocked", "kill_decompressor"),
    ],
)
def test_the_mildest_remedy_that_can_work_comes_first(kind, remedy):
    assert_acts(scene_with(kind, Scene(acts=False)), remedy)


def test_the_reason_names_cause_process_and_image(blocked):
    pid = blocked.incident["culprit"]["pid"]

    assert last(blocked).reason == f"decompressor_blocked: unpigz (pid {pid}) of {BIG}"


@pytest.mark.parametrize("kind", ["frozen_v2", "traced", "untar_frozen", "daemon_frozen", "storage"])
def test_what_is_held_on_purpose_or_beyond_us_is_told(kind):
    scene = scene_with(kind, Scene(enforce(*Remedy), acts=False))

    assert_refuses(scene, "hands off: ")


# --- what is not ours, or not seen ----------------------------------------------------------------


def test_a_hung_load_is_left_alone():
    scene = Scene(acts=False)
    scene.pull(size=4000 * MIB)
    scene.hang(scene.load(), "blocked")
    scene.tick(12)

    assert_refuses(scene, "no layer of a pull belongs to it for certain")


def test_a_layer_that_may_be_of_two_decompressors_is_left_alone():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.hang(scene.pull(OTHER, size=90 * MIB), "blocked")
    scene.tick(12)

    assert_refuses(scene, "no layer of a pull belongs to it for certain")
    assert scene.decided == []


def test_a_stopped_daemon_needs_no_pull():
    scene = Scene(acts=False)
    scene.pull()
    scene.hang(scene.extractions[0], "daemon_stopped")
    scene.extractions.clear()
    scene.tick(8)

    assert_acts(scene, "resume")


@pytest.mark.parametrize("sight", [one for one in Sight if one is not Sight.FULL])
def test_a_runtime_that_is_not_seen_in_full_is_not_touched(blocked, sight):
    blocked.sight = sight

    assert_refuses(blocked, f"the runtime cannot be seen in full: {sight.value}")


def test_a_runtime_of_an_unknown_kind_is_not_touched():
    scene = Scene(acts=False)
    scene.blind.add(RuntimeSeen)
    scene_with("blocked", scene)

    assert_waits(scene, "what kind of runtime it is is not known yet")
    scene.blind.clear()
    assert_acts(scene, "kill_decompressor")


def test_without_fresh_looks_nothing_is_done(blocked):
    blocked.blind.add(ExtractionScan)
    blocked.tick(3)

    assert_waits(blocked, "the extraction is not seen at the moment")


def test_a_look_that_came_a_little_late_is_fresh(blocked):
    blocked.blind.add(ExtractionScan)

    assert_acts(blocked, "kill_decompressor")


@pytest.mark.parametrize(
    "change", ["unseen counters", "unseen pipe", "unread freezer", "output full", "partial look"]
)
def test_what_the_newest_look_does_not_show_as_hung_is_not_touched(blocked, change):
    (one,) = blocked.extractions
    if change == "unseen counters":
        one.worker.read_bytes = None
    elif change == "unseen pipe":
        one.worker.stdout = None
    elif change == "unread freezer":
        one.worker.frozen = None
    elif change == "output full":
        one.worker.pipes(filled=65_536, room=False)
    else:
        blocked.extractions.clear()
        blocked.complete = False

    assert_waits(blocked, "it is not seen to stand still at the moment")
    assert blocked.incident["state"] == "confirmed"


def test_after_a_gap_the_wait_begins_anew(blocked):
    blocked.tick(seconds=60)

    assert blocked.decision.call is Call.WAIT
    assert_waits(blocked, "it is not seen to stand still at the moment")
    blocked.tick(6)
    assert_acts(blocked, "kill_decompressor")


class TestClients:
    """A kill is told with what it costs, so first it must be known who waits."""

    def test_before_anybody_looked_at_them_it_waits(self):
        scene = Scene(acts=False)
        scene.blind.add(ClientScan)
        scene_with("blocked", scene)

        assert_waits(scene, "who waits for the layer is not known yet")

    def test_with_a_part_of_them_it_waits(self, blocked):
        blocked.clients_complete = False

        assert_waits(blocked, "who waits for the layer is not known yet")

    def test_with_an_old_look_it_waits(self, blocked):
        blocked.blind.add(ClientScan)
        blocked.tick(9)
        assert_acts(blocked, "kill_decompressor")

        assert_waits(blocked, "who waits for the layer is not known yet")

    def test_a_resume_costs_nothing_and_does_not_wait(self):
        scene = Scene(acts=False)
        scene.blind.add(ClientScan)

        assert_acts(scene_with("stopped", scene), "resume")


# --- who has forbidden it -------------------------------------------------------------------------


def test_in_observe_mode_it_is_said_what_would_be_done():
    scene = scene_with("blocked", Scene(Policy()))

    decision = last(scene)

    assert (decision.call, decision.remedy) == (Call.WOULD_ACT, "kill_decompressor")
    assert scene.decided == [] and scene.ledger.entries == ()


def test_in_observe_mode_two_incidents_are_told_in_one_tick():
    scene = Scene(Policy())
    scene.hang(scene.pull(), "stopped")
    other = scene.pull(OTHER, size=90 * MIB)
    other.move(20 * MIB)
    scene.hang(other, "stopped")
    scene.tick(6)

    assert [one.call for one in scene.ticks[-1].decisions] == [Call.WOULD_ACT] * 2


def test_an_inhibit_file_stops_it_and_its_end_lets_it(blocked):
    blocked.operator = OperatorSeen(inhibited=True)
    assert_waits(blocked, "would kill_decompressor, but all action is inhibited")
    assert blocked.ticks[-1].inhibited

    blocked.operator = OperatorSeen()
    assert_acts(blocked, "kill_decompressor")


def test_a_pause_stops_it_until_its_time_is_over(blocked):
    blocked.operator = OperatorSeen(blocked.wall_ns + 3 * SECOND_NS, "a drill")

    assert_waits(blocked, "would kill_decompressor, but action is paused: a drill")
    assert blocked.ticks[-1].paused == "a drill"
    blocked.tick()
    assert_acts(blocked, "kill_decompressor")
    assert blocked.ticks[-1].paused == ""


def test_where_nobody_can_see_whether_people_forbid_it_nothing_is_done(blocked):
    blocked.news.append(SensorState("operator_thread", False, "it waits for the machine"))
    assert_waits(blocked, "would kill_decompressor, but whether people forbid it cannot be seen")

    blocked.news.append(SensorState("operator_thread", True))
    assert_acts(blocked, "kill_decompressor")


def test_without_a_ledger_it_is_seen_and_told_and_not_done(blocked):
    blocked.ledger = LedgerSeen(usable=False, detail="ledger.jsonl:3: not a ledger entry")

    assert_waits(blocked, "there is no ledger: ledger.jsonl:3: not a ledger entry")


def test_before_the_ledger_was_read_nothing_is_done():
    scene = Scene(acts=False)
    scene.blind.add(LedgerSeen)

    assert_waits(scene_with("blocked", scene), "there is no ledger: not read yet")


def test_one_action_at_a_time(blocked):
    blocked.news.append(ActionStarted("restart-1", "pw-other", "restart_runtime"))

    assert_waits(blocked, "would kill_decompressor, but restart_runtime is in flight")


def test_a_repull_in_flight_does_not_count(blocked):
    """It only waits for a download."""
    blocked.news.append(ActionStarted("repull-1", "pw-other", "repull"))

    assert_acts(blocked, "kill_decompressor")


def test_of_two_incidents_one_comes_first():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "stopped")
    other = scene.pull(OTHER, size=90 * MIB)
    other.move(20 * MIB)
    scene.hang(other, "stopped")
    scene.tick(6)

    first, second = scene.ticks[-1].decisions

    assert (first.call, first.remedy) == (Call.ACT, "resume")
    assert (second.call, second.reason) == (Call.WAIT, "would resume, but another action comes first")


@pytest.mark.parametrize(("kind", "remedy"), [("blocked", "kill_decompressor"), ("stopped", "resume")])
def test_a_remedy_that_is_off_is_not_taken(kind, remedy):
    scene = Scene(Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy(remedy)}), acts=False)

    assert_refuses(scene_with(kind, scene), "switched off: ")
