"""Whether anything can still be written, on real file systems in memory."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from watchdog.host.room import LEAST_BYTES, Room

SECOND_NS = 1_000_000_000


def mounted(place: Path, options: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "room", str(place)], check=True, timeout=10)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "size=32m,mode=700")


@pytest.fixture
def disk_of_few_files(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "size=64m,nr_inodes=100,mode=700")


def test_a_disk_is_full_when_next_to_nothing_is_left_and_only_then(disk: Path) -> None:
    room = Room(str(disk))
    assert room.is_full(0) is False
    (disk / "much").write_bytes(bytes((32 << 20) - LEAST_BYTES + 4096))
    assert room.is_full(SECOND_NS) is False  # it is not asked every second
    assert room.is_full(10 * SECOND_NS) is True
    (disk / "much").unlink()
    assert room.is_full(20 * SECOND_NS) is False


def test_a_disk_without_room_for_another_file_is_full(disk_of_few_files: Path) -> None:
    room = Room(str(disk_of_few_files))
    assert room.is_full(0) is False
    for number in range(60):
        (disk_of_few_files / str(number)).touch()
    assert room.is_full(10 * SECOND_NS) is True


def test_of_what_is_not_there_nothing_is_said(tmp_path: Path) -> None:
    assert Room(str(tmp_path / "gone")).is_full(0) is None
