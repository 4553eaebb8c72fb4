"""host/storage: the disk below a directory, from /proc alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.host.conftest import wait_until
from watchdog.core.observation import PressureSample
from watchdog.errors import Unavailable
from watchdog.host import inode, storage
from watchdog.host.proc import Process

MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
61 27 0:45 /@docker /var/lib/docker rw,relatime shared:29 - btrfs /dev/mapper/vg-images rw,space_cache=v2
88 27 7:3 / /mnt/an\\040image\\134s rw - ext4 /dev/loop3 rw
"""
PRESSURE = (
    "some avg10=0.03 avg60=0.02 avg300=0.04 total=2277372\n"
    "full avg10=0.03 avg60=0.02 avg300=0.02 total=2132406\n"
)
DISKSTATS_5_10 = """\
   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 29725 7451 1995362 5513 18019 12035 1500232 3918 3 4348 9776 4836 40 123072 297 1130 46
 254       1 vda1 29000 7451 1990000 5513 18019 12035 1500000 3918 2 4348 9776 4836 40 123072 297 1130 46
"""
DISKSTATS_4_19 = " 254       0 vda 29725 7451 1995362 5513 18019 12035 1500232 3918 3 4348 9776\n"


def test_mounts_are_parsed() -> None:
    mounts = storage.parse_mounts(MOUNTINFO)
    assert mounts[27] == storage.Mount("/", "254:1", "/dev/vda1")
    assert mounts[61] == storage.Mount("/var/lib/docker", "0:45", "/dev/mapper/vg-images")
    assert mounts[88].point == "/mnt/an image\\s"


def test_pressure_is_parsed_and_its_absence_is_unknown() -> None:
    assert storage.parse_io_full(PRESSURE) == 2132406
    assert storage.parse_io_full("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n") is None


def test_the_disk_of_that_number_is_read_and_no_other() -> None:
    assert storage.parse_disk(DISKSTATS_5_10, "254:0") == (1995362 + 1500232, 3)
    assert storage.parse_disk(DISKSTATS_5_10, "254:1") == (1990000 + 1500000, 2)
    assert storage.parse_disk(DISKSTATS_4_19, "254:0") == (1995362 + 1500232, 3)
    assert storage.parse_disk(DISKSTATS_5_10, "25:4") is None


def test_a_write_moves_the_disk_below_a_directory(tmp_path: Path) -> None:
    with Process(os.getpid()) as process:
        try:
            device = storage.find_device(process, str(tmp_path))
        except Unavailable:
            pytest.skip("the temporary directory is on no disk")
    before = storage.read_pressure(device)
    assert before.sectors is not None and before.in_flight is not None
    with (tmp_path / "file").open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    wait_until(lambda: (storage.read_pressure(device).sectors or 0) >= (before.sectors or 0) + 2048)


def test_what_is_on_no_disk_is_unavailable() -> None:
    with Process(os.getpid()) as process:
        for path in ("/proc", "/no/such/directory"):
            with pytest.raises(Unavailable):
                storage.find_device(process, path)


def test_an_unknown_disk_and_missing_files_are_unknown(tmp_path: Path) -> None:
    assert storage.read_pressure(None).sectors is None
    assert storage.read_pressure("254:0", str(tmp_path)) == PressureSample()


def test_an_inode_in_memory_says_what_stat_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 77)
    seen, stat = inode.look(str(path)), path.stat()
    assert (seen.device, seen.number, seen.size_bytes) == (stat.st_dev, stat.st_ino, 77)
    with pytest.raises(FileNotFoundError):
        inode.look(str(tmp_path / "other"))
