"""A download file that is closed while its layer hangs: its client gave up, and the hang stays."""

from __future__ import annotations

from dataclasses import replace

from watchdog.core.extraction import Pipeline, Tracks
from watchdog.core.observation import (
    BlobSample,
    DecompressorSample,
    ExtractionScan,
    PipeEnd,
    ProcessKey,
    ProcessSample,
)

SECOND = 1_000_000_000
BLOB = BlobSample("GetImageBlob1", size_bytes=20_000_000, position_bytes=6_160_384)
OTHER = BlobSample("GetImageBlob2", size_bytes=9_000_000, position_bytes=6_160_384)


def look(tracks: Tracks, second: int, *blobs: BlobSample, read_bytes: int = 6_035_680) -> Pipeline:
    worker = ProcessSample(
        ProcessKey(7, 70),
        1,
        "unpigz",
        read_bytes=read_bytes,
        written_bytes=1,
        stdin=PipeEnd(1),
        stdout=PipeEnd(2),
    )
    scan = ExtractionScan("docker", None, (DecompressorSample((worker,), "unpigz"),), blobs=blobs)
    tracks.update(scan, second * SECOND)
    (pipeline,) = tracks.pipelines["docker"]
    return pipeline


def test_the_blob_that_it_stood_still_with_stays_its_own() -> None:
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)
    look(tracks, 2, BLOB)

    after = look(tracks, 3)

    assert after.blob == BLOB
    assert not after.blob_is_open


def test_a_blob_that_it_was_never_seen_to_stand_still_with_is_not() -> None:
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)

    assert look(tracks, 2).blob is None


def test_another_pulls_blob_that_comes_by_the_same_byte_does_not_take_its_place() -> None:
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)
    look(tracks, 2, BLOB)

    assert look(tracks, 3, OTHER).blob == BLOB


def test_a_blob_that_moved_away_is_open_and_no_longer_its_own() -> None:
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)
    look(tracks, 2, BLOB)

    moved = replace(BLOB, position_bytes=BLOB.size_bytes)

    assert look(tracks, 3, moved).blob is None


def test_a_blob_that_has_moved_away_and_is_closed_then_was_never_its_own() -> None:
    """A load that hangs beside a pull: the pull's blob came by, and is extracted."""
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)
    look(tracks, 2, BLOB)
    look(tracks, 3, replace(BLOB, position_bytes=BLOB.size_bytes))

    assert look(tracks, 4).blob is None


def test_a_blob_that_only_came_by_was_never_its_own() -> None:
    """It was seen at that byte in one look, and stood still in none."""
    tracks = Tracks(SECOND)
    look(tracks, 1, replace(BLOB, position_bytes=0))
    look(tracks, 2, BLOB)

    assert look(tracks, 3).blob is None


def test_what_moves_on_needs_its_blob_again() -> None:
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)
    look(tracks, 2, BLOB)
    look(tracks, 3, read_bytes=6_035_681)

    assert look(tracks, 4, read_bytes=6_035_681).blob is None


def test_an_open_blob_is_told_as_open() -> None:
    tracks = Tracks(SECOND)
    look(tracks, 1, BLOB)

    assert look(tracks, 2, BLOB).blob_is_open
