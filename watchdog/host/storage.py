"""The storage below a directory, watched from a distance.

Law: the file system itself is touched once, when its device is looked up, and
that with a deadline.  After it only /proc is read, so a frozen or dead file
system cannot hold us.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple

from watchdog.core.observation import PressureSample
from watchdog.errors import Unavailable
from watchdog.host import deadline, inode
from watchdog.host.proc import PROC, Process

_LOOKUP_DEADLINE_S = 2.0
_MOST_MOUNTINFO_BYTES = 4 << 20  # a mount for each container, with a kilobyte of options
_OCTAL = re.compile(r"\\([0-7]{3})")  # how mountinfo writes blanks: \040


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo.  `device` is "MAJOR:MINOR", 0:N for file systems without a disk of their own."""

    point: str
    device: str
    source: str


def parse_mounts(mountinfo: str) -> Dict[int, Mount]:
    """The mounts of /proc/PID/mountinfo by their numbers."""
    mounts = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(" "), right.split(" ")
        if len(fields) > 4 and len(rest) > 1:
            mounts[int(fields[0])] = Mount(_plain(fields[4]), fields[2], _plain(rest[1]))
    return mounts


def parse_io_full(pressure: str) -> Optional[int]:
    """Microseconds in which everybody waited for I/O, from /proc/pressure/io."""
    match = re.search(r"^full .*\btotal=(\d+)", pressure, re.MULTILINE)
    return int(match.group(1)) if match else None


def parse_disk(diskstats: str, device: str) -> Optional[Tuple[int, int]]:
    """(sectors read and written, requests in flight) of a device, from /proc/diskstats."""
    number = device.split(":")
    for line in diskstats.splitlines():
        fields = line.split()
        if fields[:2] == number and len(fields) > 11:
            return int(fields[5]) + int(fields[9]), int(fields[11])
    return None


def find_device(process: Process, path: str, root: str = PROC) -> str:
    """The disk, as "MAJOR:MINOR", that holds `path` as this process sees it.

    Raises Deadline while the path does not answer, and Unavailable where no
    disk of this machine is behind it.
    """
    try:
        place = deadline.within(
            _LOOKUP_DEADLINE_S, f"looking up {path}", lambda: inode.look(f"{root}/{process.pid}/root{path}")
        )
    except OSError as error:
        raise Unavailable(f"{path} cannot be looked up: {error.strerror}") from error
    if os.major(place.device) != 0:
        return f"{os.major(place.device)}:{os.minor(place.device)}"
    # btrfs and others have a device number of their own; the mount names the disk.
    mounts = parse_mounts(os.fsdecode(process.read("mountinfo", _MOST_MOUNTINFO_BYTES)))
    mount = mounts.get(place.mount_id) if place.mount_id is not None else None
    if mount is None:
        raise Unavailable(f"{path} is on no mount of process {process.pid}")
    return _device_of_source(mount)


def read_pressure(device: Optional[str], root: str = PROC) -> PressureSample:
    """What /proc says now of the storage as a whole and of one device."""
    pressure = _read(f"{root}/pressure/io")
    diskstats = _read(f"{root}/diskstats")
    disk = parse_disk(diskstats, device) if diskstats is not None and device is not None else None
    return PressureSample(
        io_full_us=parse_io_full(pressure) if pressure is not None else None,
        sectors=disk[0] if disk else None,
        in_flight=disk[1] if disk else None,
    )


def _device_of_source(mount: Mount) -> str:
    """The disk behind a file system with a device number of its own, such as btrfs."""
    try:
        source = Path(mount.source).stat()
    except OSError:
        source = None
    if source is None or not stat.S_ISBLK(source.st_mode):
        raise Unavailable(f"no disk of this machine is behind {mount.point} ({mount.source})")
    return f"{os.major(source.st_rdev)}:{os.minor(source.st_rdev)}"


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text)


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return None  # pressure is off by default on some distributions
