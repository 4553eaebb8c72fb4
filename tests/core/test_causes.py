"""Every cause beside what almost looks like it: the table, and looks that agree."""

from __future__ import annotations

import pytest

from tests.core.hangs import HANGS
from tests.core.looking import DIAGNOSES, LONG, causes, culprit, hung
from tests.core.scene import Scene
from watchdog.core.policy import Thresholds


@pytest.fixture
def scene() -> Scene:
    """Nothing is carried out here: it is all about what is seen."""
    return Scene(acts=False)


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", [False, True], ids=["plain", "wrapped"])
@pytest.mark.parametrize("kind", HANGS)
def test_each_standstill_has_its_name_or_none(scene, kind, wrapper):
    one = hung(scene, kind, wrapper=wrapper)

    scene.tick(LONG)

    cause = DIAGNOSES[kind]
    assert causes(scene) == ([cause] if cause else [])
    if cause:
        named = {"untar": one.untar, "daemon": scene.daemon, "decompressor": one.worker, "storage": None}
        process = named[cause.split("_")[0]]
        assert process is None or culprit(scene) == process.key.pid


@pytest.mark.parametrize(
    ("kind", "looks"),
    [
        ("stopped", Thresholds().stopped),
        ("spinning", Thresholds().spinning),
        ("blocked", Thresholds().blocked),
        ("frozen_v2", Thresholds().stopped),
        ("untar_stopped", Thresholds().stopped),
        ("untar_blocked", Thresholds().blocked),
        ("storage", Thresholds().storage),
        ("daemon_stopped", Thresholds().daemon_stopped),
    ],
)
def test_it_is_confirmed_at_its_threshold_and_not_a_look_before(scene, kind, looks):
    hung(scene, kind)

    scene.tick(looks - 1)
    assert causes(scene) == []
    scene.tick()

    assert causes(scene) == [DIAGNOSES[kind]]


# --- looks that agree -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "kind", "looks"),
    [
        ("starved", "blocked", Thresholds().blocked),
        ("output_full", "spinning", Thresholds().spinning),
        ("starved", "stopped", Thresholds().stopped),
        ("output_full", "untar_blocked", Thresholds().blocked),
        ("disk_busy", "storage", Thresholds().storage),
    ],
)
def test_a_long_wait_for_others_does_not_count(scene, before, kind, looks):
    """It has stood still for long, but hung it is only since now."""
    one = hung(scene, before)
    scene.tick(LONG)
    scene.hang(one, kind)
    if kind == "untar_blocked":
        one.untar.read_bytes += 1  # so that it stood still for itself, too, since now

    scene.tick(looks - 1)
    assert causes(scene) == []
    scene.tick(3)  # the use of CPU is an average of six looks

    assert causes(scene) == [DIAGNOSES[kind]]


@pytest.mark.parametrize("other", ["starved", "output_full", "stopped", "in_disk_sleep"])
def test_a_look_that_disagrees_starts_the_wait_anew(scene, other):
    one = hung(scene, "blocked")
    for _ in range(5):
        scene.tick(Thresholds().blocked - 1)
        scene.hang(one, other)
        scene.tick()
        scene.hang(one, "blocked")

    assert causes(scene) == []


def test_an_idle_daemon_that_is_stopped_for_a_moment_is_not_stopped(scene):
    """Its counters stand still anyway; only the looks that show it stopped count."""
    one = hung(scene, "starved")
    scene.daemon.frozen = None
    for _ in range(LONG):
        scene.daemon.pass_bytes(-1000, -1000)
        scene.tick()
    scene.hang(one, "daemon_stopped")

    scene.tick(2)

    assert causes(scene) == []


def test_it_is_opened_at_the_first_look_that_agreed(scene):
    one = hung(scene, "starved")
    scene.tick(LONG)
    scene.hang(one, "stopped")
    scene.tick()
    first = scene.wall_ns

    scene.tick(Thresholds().stopped)

    assert scene.engine.casebook.all[0].opened_wall_ns == first
