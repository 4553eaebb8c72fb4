"""Whole stories, from the first frame to the last word, and frames of all kinds."""

from __future__ import annotations

import json

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Scene
from watchdog.core.casebook import ENDED_KEPT
from watchdog.core.engine import Engine
from watchdog.core.observation import (
    ClientScan,
    ExtractionScan,
    Frame,
    OperatorSeen,
    SensorState,
)
from watchdog.core.policy import SECOND_NS

OTHER = "localhost:5000/other:1"
SMALL = 60 * MIB


@pytest.fixture
def scene() -> Scene:
    return Scene()


# --- stories with a good end ----------------------------------------------------------------------


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
    assert scene.ticks[-1].active  # though no pull is to be seen at this moment
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


# --- the runtime is restarted ---------------------------------------------------------------------


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
    assert (scene.incident["state"], scene.incident["next"]) == (
        "gone",
        "its runtime was replaced by another process",
    )


def test_a_process_that_was_only_out_of_sight_hangs_again():
    scene = Scene(acts=False)
    scene.hang(scene.pull(), "stopped")
    scene.until("confirmed")
    hidden, scene.extractions = scene.extractions, []
    scene.until("gone")
    scene.extractions = hidden

    scene.until("confirmed")

    assert len(scene.incidents) == 1


def test_a_pull_of_the_new_daemon_is_another_incident(scene):
    scene.hang(scene.pull(), "stopped")
    scene.until("recovered")
    scene.restart_runtime()
    scene.hang(scene.pull(OTHER, size=90 * MIB), "stopped")
    scene.tick(20)

    assert len({record["id"] for record in scene.incidents}) == 2
    assert scene.story.count("recovered") == 2


# --- frames of all kinds --------------------------------------------------------------------------


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
