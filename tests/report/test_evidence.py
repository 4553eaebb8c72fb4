"""The ring of frames that is saved with an incident, and what a replay of it starts from."""

from __future__ import annotations

import pytest

from tests.report.ticks import HUNG, ID, QUIET, SECOND_NS
from watchdog.core.codec import frame_from_json
from watchdog.core.observation import (
    Frame,
    LedgerSeen,
    LogLine,
    MachineSeen,
    ManifestSeen,
    PolicySeen,
    SensorState,
)
from watchdog.core.policy import Policy
from watchdog.report.evidence import Evidence
from watchdog.report.incidents import IncidentStore
from watchdog.report.writer import Writer

FIRST = Frame(
    SECOND_NS,
    (
        SensorState("events", True),
        LogLine("docker", "a line"),
        PolicySeen(Policy().to_json()),
        MachineSeen("boot-1", 5, 1),
        LedgerSeen(usable=True),
    ),
)


@pytest.fixture
def writer():
    writer = Writer("test", 100)
    yield writer
    writer.close(5)


@pytest.fixture
def store(tmp_path, writer):
    return IncidentStore(tmp_path / "run", tmp_path / "state", writer)


def test_an_incident_saves_the_frames_before_it_and_a_quiet_tick_saves_nothing(store, writer):
    evidence = Evidence(10, store, writer)
    evidence.observe(FIRST, QUIET)
    assert writer.close(5)
    assert not store.state_path.exists()

    writer = Writer("test", 100)
    evidence = Evidence(10, store, writer)
    evidence.observe(FIRST, QUIET)
    evidence.observe(Frame(2 * SECOND_NS, (LogLine("docker", "docker login --password hunter2222"),)), HUNG)

    assert writer.close(5)
    path = store.state_path / f"{ID}.recording.jsonl"
    frames = [frame_from_json(line) for line in path.read_text().splitlines()]
    assert frames[0] == FIRST
    assert frames[1].now_ns == 2 * SECOND_NS
    assert "hunter2222" not in path.read_text()


def test_the_ring_is_bounded_and_what_still_holds_outlives_its_frame(store, writer):
    evidence = Evidence(3, store, writer)
    evidence.observe(FIRST, QUIET)
    for n in range(2, 10):
        evidence.observe(Frame(n * SECOND_NS, (SensorState("events", n % 2 == 0),)), QUIET)

    recording = evidence.recording()

    assert [frame.now_ns // SECOND_NS for frame in recording] == [6, 7, 8, 9]
    # The newest state of the sensor before the ring, and no line of the log.
    assert recording[0].observations == (
        PolicySeen(Policy().to_json()),
        MachineSeen("boot-1", 5, 1),
        LedgerSeen(usable=True),
        SensorState("events", True),
    )


def test_a_flood_of_manifests_is_bounded_and_does_not_push_out_the_policy(store, writer):
    evidence = Evidence(1, store, writer)
    evidence.observe(FIRST, QUIET)
    for n in range(1000):
        evidence.observe(Frame(n, (ManifestSeen("docker", f"sha256:{n}", (), ()),)), QUIET)

    facts = evidence.recording()[0].observations

    assert len(facts) == 256
    assert PolicySeen(Policy().to_json()) in facts
    assert ManifestSeen("docker", "sha256:998", (), ()) in facts
    assert ManifestSeen("docker", "sha256:1", (), ()) not in facts


def test_only_the_newest_recordings_are_kept(store, writer):
    for n in range(25):
        store.keep_recording(f"pw-{n:08d}", b"{}\n")

    assert len(list(store.state_path.glob("*.recording.jsonl"))) == 20
