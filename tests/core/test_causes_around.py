"""What stands still around the decompressor: untar, daemon, disk, and orphans."""

from __future__ import annotations

import pytest

from tests.core.looking import LONG, causes, culprit, hung
from tests.core.machine import MIB, Extraction
from tests.core.scene import Scene
from watchdog.core.policy import Thresholds


@pytest.fixture
def scene() -> Scene:
    """Nothing is carried out here: it is all about what is seen."""
    return Scene(acts=False)


# --- the untar ------------------------------------------------------------------------------------


def test_an_untar_with_nothing_to_read_holds_nobody_up(scene):
    one = hung(scene, "untar_blocked")
    one.untar.pipes(filled=0)

    scene.tick(LONG)

    assert causes(scene) == []


@pytest.mark.parametrize("kind", ["untar_stopped", "untar_blocked", "untar_frozen"])
def test_an_untar_is_not_at_fault_while_its_decompressor_moves(scene, kind):
    """It may be that of an uncompressed layer of a load."""
    one = hung(scene, kind)
    for _ in range(LONG):
        one.worker.pass_bytes(MIB, MIB)
        scene.tick()

    assert causes(scene) == []


def test_an_untar_that_works_is_not_blocked(scene):
    one = hung(scene, "untar_blocked")
    for _ in range(LONG):
        one.untar.cpu_ticks += 80
        scene.tick()

    assert causes(scene) == []


def test_an_untar_in_an_unread_freezer_is_unknown(scene):
    one = hung(scene, "untar_blocked")
    one.untar.frozen = None

    scene.tick(LONG)

    assert causes(scene) == []


# --- the daemon -----------------------------------------------------------------------------------


def test_a_stopped_daemon_explains_everything_behind_it(scene):
    """Also a decompressor that somebody has stopped as well."""
    one = hung(scene, "daemon_stopped")
    one.worker.stand("T", "nr:0")
    one.worker.pipes(filled=65_536, room=True)

    scene.tick(LONG)

    assert causes(scene) == ["daemon_stopped"]


def test_a_daemon_with_one_thread_that_runs_is_not_stopped(scene):
    hung(scene, "daemon_stopped")
    scene.daemon.states = "TTTTTTTTS"

    scene.tick(LONG)

    assert causes(scene) == []


def test_a_stopped_daemon_is_seen_without_any_pull(scene):
    one = hung(scene, "daemon_stopped")
    scene.extractions.remove(one)

    scene.tick(LONG)

    assert causes(scene) == ["daemon_stopped"]


def test_an_unseen_daemon_is_no_stopped_one(scene):
    hung(scene, "daemon_stopped")
    scene.daemon.states = ""

    scene.tick(LONG)

    assert causes(scene) == []


# --- the storage ----------------------------------------------------------------------------------


def test_an_unseen_disk_makes_no_verdict(scene):
    hung(scene, "storage")
    scene.sectors = None

    scene.tick(LONG)

    assert causes(scene) == []


@pytest.mark.parametrize("kind", ["storage", "daemon_storage"])
def test_a_frozen_or_unread_freezer_is_no_stalled_disk(scene, kind):
    one = hung(scene, kind)
    for frozen in (True, None):
        one.untar.frozen = scene.daemon.frozen = frozen
        scene.tick(LONG)

    assert "storage_stalled" not in causes(scene)


def test_a_daemon_thread_in_disk_sleep_does_not_hide_a_hung_decompressor(scene):
    """A thread of the daemon waits for something else, on a quiet disk."""
    hung(scene, "blocked")
    scene.daemon.states = "SSDSSSSSS"
    scene.disk_moves = False

    scene.tick(LONG)

    assert causes(scene) == ["decompressor_blocked"]


def test_a_daemon_thread_in_disk_sleep_is_normal_while_the_pull_moves(scene):
    scene.pull(size=2000 * MIB)
    scene.daemon.states = "SSDSSSSSS"
    scene.disk_moves = False

    scene.tick(LONG)

    assert causes(scene) == []


def test_without_an_untar_process_the_daemon_shows_it(scene):
    """docker 24 and later unpack in a thread of the daemon."""
    hung(scene, "daemon_storage", untar=False)

    scene.tick(LONG)

    assert causes(scene) == ["storage_stalled"]


# --- orphans --------------------------------------------------------------------------------------


def orphaned(scene: Scene) -> Extraction:
    one = hung(scene, "stopped")
    scene.restart_runtime()
    return one


def test_an_orphan_is_told_after_a_long_time(scene):
    one = orphaned(scene)

    scene.tick(Thresholds().orphaned - 1)
    assert causes(scene) == []
    scene.tick()

    assert causes(scene) == ["decompressor_orphaned"]
    assert culprit(scene) == one.worker.key.pid
    assert scene.decision.call.value == "refuse"


def test_an_orphan_that_moves_is_left_alone(scene):
    one = orphaned(scene)
    for _ in range(Thresholds().orphaned + 5):
        one.worker.pass_bytes(1, 0)
        scene.tick()

    assert causes(scene) == []
