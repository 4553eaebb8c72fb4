"""A decompressor that stands still: hung, held, or waiting for others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.looking import LONG, causes, culprit, hung
from tests.core.scene import Scene


@pytest.fixture
def scene() -> Scene:
    """Nothing is carried out here: it is all about what is seen."""
    return Scene(acts=False)


def test_stopped_with_nothing_to_read_holds_nobody_up(scene):
    one = hung(scene, "stopped")
    one.worker.pipes(filled=0, room=True)

    scene.tick(LONG)

    assert causes(scene) == []


@pytest.mark.parametrize("kind", ["stopped", "spinning", "blocked"])
def test_with_its_output_full_somebody_else_is_at_fault(scene, kind):
    one = hung(scene, kind)
    one.worker.pipes(filled=65_536, room=False)

    scene.tick(LONG)

    assert causes(scene) == []


@pytest.mark.parametrize("kind", ["stopped", "spinning", "blocked", "frozen_v2"])
@pytest.mark.parametrize("end", ["stdin", "stdout"])
def test_with_a_pipe_unseen_there_is_no_verdict(scene, kind, end):
    one = hung(scene, kind)
    setattr(one.worker, end, None)

    scene.tick(LONG)

    assert causes(scene) == []


@pytest.mark.parametrize("kind", ["stopped", "spinning", "blocked"])
def test_a_pipe_that_did_not_answer_makes_no_verdict(scene, kind):
    one = hung(scene, kind)
    one.worker.pipes(filled=None, room=None)

    scene.tick(LONG)

    assert causes(scene) == []


@pytest.mark.parametrize(
    "kind", ["stopped", "spinning", "blocked", "frozen_v1", "traced", "untar_blocked", "storage"]
)
@pytest.mark.parametrize("every", [1, 3])
def test_what_still_moves_is_slow_and_not_hung(scene, kind, every):
    """One byte at every look, or at every third."""
    one = hung(scene, kind)
    for look in range(LONG):
        if look % every == 0:
            one.worker.pass_bytes(1, 0)
            one.untar.pass_bytes(0, 1)
        scene.tick()

    assert causes(scene) == []


def test_one_stopped_thread_of_two_is_not_stopped(scene):
    one = hung(scene, "stopped")
    one.worker.states = "TS"

    scene.tick(LONG)

    assert causes(scene) == []


def test_a_busy_host_gives_a_spinning_process_less_and_it_still_spins(scene):
    one = hung(scene, "spinning")
    for _ in range(LONG):
        one.worker.cpu_ticks -= 45
        scene.tick()

    assert causes(scene) == ["decompressor_spinning"]


def test_running_without_using_the_cpu_is_no_kind_of_hang(scene):
    """A process that a CPU limit holds back is not hung."""
    one = hung(scene, "spinning")
    for _ in range(LONG):
        one.worker.cpu_ticks -= 95
        scene.tick()

    assert causes(scene) == []


@pytest.mark.parametrize(("ticks", "looks"), [(100, 6), (34, 6), (33, 7), (10, 20)])
def test_two_seconds_of_cpu_for_nothing_are_spinning(scene, ticks, looks):
    """Counted in CPU and in looks: on a busy host both take longer."""
    one = hung(scene, "spinning")
    for look in range(looks):
        assert causes(scene) == [], f"after {look} looks"
        one.worker.cpu_ticks += ticks - 100
        scene.tick()

    assert causes(scene) == ["decompressor_spinning"]


def test_running_with_its_cpu_unseen_is_unknown(scene):
    one = hung(scene, "spinning")
    for _ in range(LONG):
        scene.tick()
        one.worker.cpu_ticks = None

    assert causes(scene) == []


def test_now_asleep_and_now_spinning_is_hung_all_the_time(scene):
    one = hung(scene, "spinning")
    for look in range(LONG):
        one.worker.states = "RS"[look % 2]
        one.worker.cpu_ticks -= 70  # too little to be called running when it was caught asleep
        scene.tick()

    assert len(causes(scene)) == 1
    assert causes(scene)[0] in ("decompressor_spinning", "decompressor_blocked")


def test_now_stopped_and_now_frozen_is_neither_for_long_enough(scene):
    one = hung(scene, "stopped")
    for look in range(LONG):
        scene.hang(one, "frozen_v2" if look % 3 == 2 else "stopped")
        scene.tick()

    assert causes(scene) == []


@pytest.mark.parametrize("kind", ["blocked", "in_disk_sleep", "spinning"])
def test_a_freezer_that_cannot_be_read_makes_no_verdict(scene, kind):
    """v2 looks like asleep, v1 like waiting for the disk."""
    one = hung(scene, kind)
    one.worker.frozen = None
    scene.disk_moves = False

    scene.tick(LONG)

    assert causes(scene) == []


def test_stopped_in_a_freezer_that_cannot_be_read_is_stopped(scene):
    """Neither freezer shows T."""
    one = hung(scene, "stopped")
    one.worker.frozen = None

    scene.tick(LONG)

    assert causes(scene) == ["decompressor_stopped"]


def test_stopped_and_frozen_is_held(scene):
    one = hung(scene, "stopped")
    one.worker.frozen = True

    scene.tick(LONG)

    assert causes(scene) == ["decompressor_held"]


def test_a_tracer_holds_also_between_two_stops(scene):
    one = hung(scene, "blocked")
    one.worker.tracer_pid = 4242

    scene.tick(LONG)

    assert causes(scene) == ["decompressor_held"]
    assert "traced by process 4242" in scene.incident["hands_off"]


def test_behind_a_wrapper_with_two_leaves_there_is_no_verdict(scene):
    one = hung(scene, "blocked", wrapper=True)
    one.helpers.append(replace(one.worker, key=scene._key()))

    scene.tick(LONG)

    assert causes(scene) == []


def test_the_wrapper_that_waits_for_its_child_is_not_the_culprit(scene):
    one = hung(scene, "stopped", wrapper=True)

    scene.tick(LONG)

    assert culprit(scene) == one.worker.key.pid
    assert [member["pid"] for member in scene.incident["stage"]] == [one.wrapper.key.pid, one.worker.key.pid]


def test_a_wrapper_that_is_stopped_holds_nothing_up_while_its_child_works(scene):
    one = scene.pull(wrapper=True)
    one.wrapper.states = "T"

    scene.tick(LONG)

    assert causes(scene) == []
