"""What a verdict rests on, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

import pytest

from tests.core.looking import LONG, hung
from tests.core.scene import Scene
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Evidence, Kind, suffices
from watchdog.core.observation import ProcessEvent


@pytest.fixture
def scene() -> Scene:
    """Nothing is carried out here: it is all about what is seen."""
    return Scene(acts=False)


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
