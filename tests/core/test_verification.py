"""Whether a resume worked: progress that was seen after it, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Scene
from tests.core.variants import Powerless, Unwatched
from watchdog.core.observation import Api, ClientScan, ExtractionScan, ImageEvent, Outcome, RuntimeSeen
from watchdog.core.verification import LOOKS_FOR_ANOTHER_PULL

OTHER = "localhost:5000/other:1"
SMALL = 60 * MIB


@pytest.fixture
def scene() -> Scene:
    """Its actions take a while."""
    scene = Scene()
    scene.takes = 1
    return scene


@pytest.mark.parametrize("kind", ["stopped", "untar_stopped", "daemon_stopped"])
def test_bytes_that_move_are_a_recovery(scene, kind):
    scene.hang(scene.pull(), kind)

    record = scene.until("recovered")

    assert scene.verdicts == ["recovered"]
    assert "bytes since" in record["next"]
    assert record["resolved_at"] is not None


@pytest.mark.parametrize("kind", ["stopped", "untar_stopped", "daemon_stopped"])
def test_an_exit_code_alone_is_none(kind):
    scene = Powerless()
    scene.hang(scene.pull(), kind)
    scene.until("verifying")

    scene.tick(30)

    assert scene.verdicts == ["not_recovered"]
    assert "recovered" not in scene.story
    assert scene.incident["state"] == "confirmed"


def test_eight_looks_without_a_byte_are_needed_to_say_that_it_did_not_help():
    scene = Powerless()
    scene.hang(scene.pull(), "stopped")
    scene.until("verifying")

    scene.tick(6)
    assert scene.verdicts == []
    scene.tick(2)

    assert scene.verdicts == ["not_recovered"]


def test_what_a_replaced_runtime_has_left_behind_is_gone_and_no_success():
    """The decompressor of the old one is still there, and works for nobody."""
    scene = Powerless()
    scene.hang(scene.pull(), "stopped")
    scene.until("verifying")
    scene.restart_runtime()

    scene.tick(LOOKS_FOR_ANOTHER_PULL - 10)
    assert scene.incident["state"] == "verifying"
    scene.tick(10)

    assert scene.orphans
    assert scene.verdicts == ["inconclusive"]
    assert scene.incident["state"] == "gone"
    assert "its runtime was replaced" in scene.incident["next"]


def test_a_runtime_whose_process_is_out_of_sight_is_not_replaced():
    scene = Powerless()
    scene.hang(scene.pull(), "stopped")
    scene.until("verifying")
    scene.news.append(RuntimeSeen(scene.runtime, "docker", None, None, Api.SILENT, scene.sight))

    scene.tick(40)

    assert scene.verdicts == ["not_recovered"]
    assert scene.incident["state"] == "confirmed"


def test_another_pull_of_the_image_is_a_success_of_the_restart():
    scene = Powerless()
    scene.hang(scene.pull(), "stopped")
    scene.until("verifying")
    scene.restart_runtime()
    scene.tick(30)
    scene.arrive(BIG)

    scene.until("recovered")


def test_nor_is_it_still_hung_without_an_action():
    scene = Powerless()
    scene.hang(scene.pull(), "stopped")
    scene.until("verifying")
    scene.tick(8)
    assert scene.incident["state"] == "confirmed"
    scene.restart_runtime()

    scene.tick(8)

    assert scene.incident["state"] == "gone"


def test_a_kill_that_was_made_when_nobody_waited_any_more_is_ours_all_the_same():
    """On a busy node its process begins when the agent has given it up: its word is in the ledger."""
    scene = Powerless()
    scene.outcomes["kill_decompressor"] = Outcome.EXPIRED
    one = scene.pull()
    scene.hang(one, "spinning")
    scene.until("gave_up")
    made = [replace(each, outcome=Outcome.DONE) for each in scene.ledger.entries if each.phase == "result"]
    intents = [each for each in scene.ledger.entries if each.phase != "result"]
    scene.ledger = replace(scene.ledger, entries=(*intents, *made))
    scene.extractions.remove(one)
    scene.tick()

    assert scene.incident["state"] == "verifying"
    assert [each["image"] for each in scene.incident["cost"]["pulls"] if each["owed"]] == [one.image]


@pytest.mark.parametrize("unseen", ["counters", "process", "everything"])
def test_what_cannot_be_seen_is_not_said_to_have_failed(unseen):
    scene = Powerless()
    one = scene.pull()
    scene.hang(one, "stopped")
    scene.until("verifying")
    if unseen == "counters":
        one.worker.read_bytes = None
    elif unseen == "everything":
        scene.blind.add(ExtractionScan)
    else:
        scene.extractions.clear()
        scene.complete = False

    scene.tick(40)

    assert (scene.verdicts, scene.incident["state"]) == ([], "verifying")


@pytest.fixture
def unwatched() -> Scene:
    scene = Unwatched()
    scene.hang(scene.pull(), "stopped")
    return scene


def test_an_end_without_any_sign_of_the_pull_is_gone_and_no_success(unwatched):
    record = unwatched.until("gone")

    assert unwatched.verdicts == ["inconclusive"]
    assert record["verification"] == "inconclusive"


def test_an_image_that_arrived_is_a_recovery_though_the_process_ended_unseen(unwatched):
    unwatched.until("verifying")
    unwatched.arrive(BIG)

    assert unwatched.until("recovered")["next"] == f"{BIG} has arrived"


@pytest.mark.parametrize("blind", [ExtractionScan, ClientScan], ids=["no look", "no clients"])
def test_an_arrival_counts_also_in_a_tick_without_a_look(unwatched, blind):
    unwatched.until("verifying")
    unwatched.blind.add(blind)
    unwatched.arrive(BIG)
    unwatched.tick()
    unwatched.blind.clear()

    assert unwatched.until("recovered")["next"] == f"{BIG} has arrived"


def test_an_arrival_counts_also_while_the_action_is_still_under_way(unwatched):
    unwatched.takes = 3
    unwatched.until("acting")
    unwatched.arrive(BIG)

    assert unwatched.until("recovered")["next"] == f"{BIG} has arrived"


def test_an_arrival_before_the_action_is_no_sign(unwatched):
    unwatched.arrive(BIG)

    unwatched.until("gone")


@pytest.mark.parametrize(
    "event",
    [
        ImageEvent("docker", "pull", OTHER),
        ImageEvent("docker", "pull", "localhost:5000/big:2"),
        ImageEvent("second", "pull", BIG),
        ImageEvent("docker", "tag", BIG),
        ImageEvent("docker", "present", BIG),  # an older image may bear that name
        ImageEvent("docker", "pull", "Not/A Name"),
    ],
    ids=str,
)
def test_another_event_is_no_sign(unwatched, event):
    unwatched.until("verifying")
    unwatched.news.append(event)

    unwatched.until("gone")


@pytest.mark.parametrize("action", ["pull", "present"])
def test_an_image_is_known_by_its_digest(unwatched, action):
    unwatched.until("verifying")
    unwatched.arrive(f"localhost:5000/big@{unwatched.manifests[0].digest}", action)

    unwatched.until("recovered")


def test_a_later_layer_of_the_pull_that_moves_is_a_sign(unwatched):
    unwatched.until("verifying")
    unwatched.extract(BIG, 200 * MIB, unwatched.manifest(BIG, 200 * MIB))

    assert unwatched.until("recovered")["next"] == f"a later layer of {BIG} is being extracted"


def test_one_that_stands_still_is_none(unwatched):
    unwatched.until("verifying")
    later = unwatched.extract(BIG, 200 * MIB, unwatched.manifest(BIG, 200 * MIB))
    unwatched.hang(later, "starved")

    unwatched.until("gone")


def test_one_of_another_image_is_none(unwatched):
    unwatched.until("verifying")
    unwatched.pull(OTHER, size=3000 * MIB)

    unwatched.until("gone")


def test_one_that_may_be_of_another_image_is_none(unwatched):
    unwatched.until("verifying")
    unwatched.client(OTHER)
    unwatched.extract(None, 3000 * MIB)

    unwatched.until("gone")


def test_one_that_moved_before_the_action_and_not_since_is_none():
    """The untar was stopped; its own decompressor, born after it, did move before."""
    scene = Powerless()
    one = scene.pull()
    one.untar.key = replace(one.untar.key, start_ticks=1)
    scene.tick(3)
    scene.hang(one, "untar_stopped")
    scene.until("verifying")

    scene.tick(20)

    assert scene.verdicts == ["not_recovered"]
