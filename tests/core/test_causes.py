"""Every cause beside what almost looks like it."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

import pytest

from tests.core.machine import HANGS, MIB, Extraction
from tests.core.scene import Scene
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Evidence, Kind, suffices
from watchdog.core.observation import ProcessEvent
from watchdog.core.policy import Thresholds

LONG = 30  # more looks than any threshold but that of orphans


@pytest.fixture
def scene() -> Scene:
    """Nothing is carried out here: it is all about what is seen."""
    return Scene(acts=False)


def hung(scene: Scene, kind: str, **form: object) -> Extraction:
    """A pull that went well for a while and then hangs in that way."""
    one = scene.pull(**form)
    scene.tick(3)
    scene.hang(one, kind)
    return one


def causes(scene: Scene) -> List[str]:
    return [record["cause"] for record in scene.incidents]


def culprit(scene: Scene) -> int:
    return scene.incident["culprit"]["pid"]


# --- the table -----------------------------------------------------------------------------------

DIAGNOSES = {
    "stopped": "decompressor_stopped",
    "spinning": "decompressor_spinning",
    "blocked": "decompressor_blocked",
    "input_ended": "decompressor_blocked",
    "frozen_v1": "decompressor_held",
    "frozen_v2": "decompressor_held",
    "traced": "decompressor_held",
    "untar_stopped": "untar_stopped",
    "untar_blocked": "untar_blocked",
    "untar_frozen": "untar_held",
    "untar_traced": "untar_held",
    "storage": "storage_stalled",
    "daemon_storage": "storage_stalled",
    "daemon_stopped": "daemon_stopped",
    "daemon_frozen": "daemon_held",
    "daemon_traced": "daemon_held",
    "starved": None,
    "output_full": None,
    "in_disk_sleep": None,
    "disk_busy": None,
}


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


# --- the decompressor ----------------------------------------------------------------------------


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
        scene.tick()

    assert causes(scene) == ["decompressor_spinning"]


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


# --- looks that agree ------------------------------------------------------------------------------


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


# --- the untar -----------------------------------------------------------------------------------------


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


# --- the daemon ------------------------------------------------------------------------------------------


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


# --- the storage -------------------------------------------------------------------------------------------


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


# --- orphans -----------------------------------------------------------------------------------------------


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


# --- evidence ----------------------------------------------------------------------------------------------


def evidence(scene: Scene, kind: Optional[str] = None) -> List[str]:
    return [one["text"] for one in scene.incident["evidence"] if kind in (None, one["kind"])]


def test_the_evidence_says_what_was_seen(scene):
    one = hung(scene, "blocked")
    scene.tick(LONG)

    text = "\n".join(evidence(scene))

    assert f"unpigz (pid {one.worker.key.pid}) is asleep, waiting in nr:34" in text
    assert f"it read {one.worker.read_bytes} and wrote {one.worker.written_bytes} bytes" in text
    assert "its input pipe holds 65536 bytes" in text
    assert "its output pipe has room" in text
    assert f"{one.blob.name} stands at {one.blob.position_bytes} of {one.blob.size_bytes} bytes" in text


def test_an_input_that_has_ended_is_said(scene):
    hung(scene, "input_ended")
    scene.tick(LONG)

    assert evidence(scene, "pipe")[0] == "its input has ended"


def signal(pid: int, number: int, what: str = "signal") -> ProcessEvent:
    return ProcessEvent(1, what, pid, other_pid=77, comm="bash", signal=number)


@pytest.mark.parametrize("number", [19, 20, 21, 22])
def test_who_sent_the_stop_signal_is_said(scene, number):
    one = hung(scene, "stopped")
    scene.news.append(signal(one.worker.key.pid, number))

    scene.tick(LONG)

    (text,) = evidence(scene, "kernel_event")
    assert f"signal {number} " in text and "77" in text


@pytest.mark.parametrize("number", [18, 9, 15])
def test_another_signal_is_no_reason_to_be_stopped(scene, number):
    one = hung(scene, "stopped")
    scene.news.append(signal(one.worker.key.pid, number))

    scene.tick(LONG)

    assert evidence(scene, "kernel_event") == []


def test_a_stop_signal_to_what_is_not_stopped_says_nothing(scene):
    one = hung(scene, "blocked")
    scene.news.append(signal(one.worker.key.pid, 19))

    scene.tick(LONG)

    assert evidence(scene, "kernel_event") == []


def test_the_signal_of_an_earlier_process_with_that_pid_is_forgotten(scene):
    one = hung(scene, "stopped")
    scene.news += [signal(one.worker.key.pid, 19), signal(one.worker.key.pid, 0, what="exit")]

    scene.tick(LONG)

    assert evidence(scene, "kernel_event") == []


@pytest.mark.parametrize(
    ("kinds", "enough"),
    [
        ([], False),
        ([Kind.LOG], False),
        ([Kind.LOG, Kind.LOG], False),
        ([Kind.COUNTERS], False),
        ([Kind.COUNTERS, Kind.COUNTERS], False),
        ([Kind.COUNTERS, Kind.PIPE], True),
        ([Kind.LOG, Kind.SOCKET], True),
    ],
)
def test_two_independent_kinds_of_evidence_are_needed(scene, kinds, enough):
    facts = tuple(Evidence(kind, "something") for kind in kinds)
    finding = Finding("docker", Cause.DECOMPRESSOR_BLOCKED, scene.daemon.sample(), facts, 99, 0, threshold=8)

    assert suffices(facts) is enough
    assert finding.confirmed is enough
    assert not replace(finding, samples=7).confirmed
