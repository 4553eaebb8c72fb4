"""`replay`: a recording tells its story, the same each time; a damaged one up to the damage."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.cli.conftest import call
from tests.report.ticks import DOCKER, PIGZ, SECOND_NS
from watchdog.core.codec import frame_to_json
from watchdog.core.observation import (
    BlobSample,
    ClientScan,
    DecompressorSample,
    ExtractionScan,
    Frame,
    LedgerSeen,
    MachineSeen,
    PipeEnd,
    PolicySeen,
    ProcessKey,
    ProcessSample,
)
from watchdog.core.policy import Policy

UNPIGZ = ProcessSample(
    ProcessKey(4242, 1000),
    100,
    "unpigz",
    PIGZ,
    states="TTT",
    waits=("nr:0", "nr:0", "nr:0"),
    read_bytes=1_000_000,
    written_bytes=2_000_000,
    cpu_ticks=10,
    switches=100,
    frozen=False,
    stdin=PipeEnd(1, 65536, None, False),
    stdout=PipeEnd(2, None, True, None),
)


def frames(stopped: bool):
    """Twelve seconds of a pull whose unpigz is stopped, or is slow."""
    beginning = (
        PolicySeen(Policy().to_json()),
        MachineSeen("boot-1", 1_700_000_000 * SECOND_NS, 0),
        LedgerSeen(usable=True),
        DOCKER,
        ClientScan("docker"),
    )
    yield Frame(SECOND_NS, beginning)
    for n in range(2, 14):
        sample = UNPIGZ if stopped else replace(UNPIGZ, states="SSS", read_bytes=1_000_000 + n)
        blob = BlobSample("GetImageBlob1", 312_000_000, 1_124_704)
        stage = (DecompressorSample((sample,), "/usr/bin/unpigz"),)
        yield Frame(n * SECOND_NS, (ExtractionScan("docker", None, stage, blobs=(blob,)),))


@pytest.fixture
def record(tmp_path):
    def record(stopped=True, ending=""):
        path = tmp_path / "frames.jsonl"
        path.write_text("".join(frame_to_json(one) + "\n" for one in frames(stopped)) + ending)
        return path

    return record


def test_a_hang_is_told_with_its_time_and_summed_up(record):
    done = call("replay", str(record()))

    assert (done.status, done.err) == (0, "")
    assert "confirmed:" in done.out
    assert "13 ticks, 12.0 s, 1 incident(s)" in done.out
    assert "decompressor_stopped confirmed" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_slow_extraction_is_no_incident(record):
    done = call("replay", str(record(stopped=False)))

    assert done.status == 0
    assert "13 ticks, 12.0 s, 0 incident(s)" in done.out


def test_the_same_recording_tells_the_same_byte_for_byte(record):
    path = record()

    for words in (("replay", str(path)), ("replay", str(path), "--json")):
        assert call(*words).out == call(*words).out


def test_json_is_one_tick_a_line(record):
    lines = call("replay", str(record()), "--json").out.splitlines()

    ticks = [json.loads(line) for line in lines]
    assert [tick["now_ns"] for tick in ticks] == [n * SECOND_NS for n in range(1, 14)]
    assert ticks[-1]["incidents"][0]["cause"] == "decompressor_stopped"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ('{"now_ns": 14', ":14: the recording is cut off"),
        ("not a frame\n", ":14: "),
        ('{"now_ns":1}\n', ":14: "),
    ],
)
def test_a_damaged_recording_is_told_up_to_the_damage_and_then_named_with_its_line(record, ending, said):
    path = record(ending=ending)

    done = call("replay", str(path))

    assert done.status == 1
    assert "confirmed:" in done.out
    assert f"{path}{said}" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_recording_that_is_not_there_or_empty_is_one_line(tmp_path):
    for path in (tmp_path / "absent", tmp_path / "empty"):
        (tmp_path / "empty").touch()
        done = call("replay", str(path))
        assert (done.status, done.out) == (1, "")
        assert str(path) in done.err
        assert len(done.err.splitlines()) == 1
