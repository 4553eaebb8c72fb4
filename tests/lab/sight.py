"""What a test sees of a pull, read from /proc without the product's own sensors.

Tests compare the product's verdict with this view, so nothing here may be shared
with it.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

# Numbers of read and write, each with the descriptor that is waited at.
PIPE_CALLS = {"x86_64": {(0, 0), (1, 1)}, "aarch64": {(63, 0), (64, 1)}}


@dataclass(frozen=True)
class BlobFile:
    """A layer's download file: bytes downloaded, bytes read back by the extraction."""

    name: str
    size_bytes: int
    position_bytes: int


@dataclass(frozen=True)
class Stage:
    """One process of the extraction at one moment.

    `state` is the letter of /proc/PID/stat; `read_bytes` and `written_bytes` are
    rchar and wchar; `cpu_ticks` is utime + stime.
    """

    pid: int
    comm: str
    state: str
    read_bytes: int
    written_bytes: int
    cpu_ticks: int

    @property
    def progress(self) -> tuple[int, int]:
        return self.read_bytes, self.written_bytes


def children(pid: int) -> list[int]:
    """Direct children, of all threads; none if the process has ended."""
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in listing.read_text().split()]
        except OSError:
            continue
    return found


def descendants(pid: int) -> list[int]:
    """The whole tree below a process, each parent before its children."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def stage(pid: int) -> Stage | None:
    """A sample of one process, or None if it has ended."""
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(") ")
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return None
    fields = rest.split()
    counters = dict(line.split(": ") for line in lines)
    cpu_ticks = int(fields[11]) + int(fields[12])
    return Stage(pid, name, fields[0], int(counters["rchar"]), int(counters["wchar"]), cpu_ticks)


def state(pid: int) -> str:
    """The state letter of a process; "gone" if it has ended."""
    sample = stage(pid)
    return sample.state if sample else "gone"


def waits_at_a_pipe(pid: int) -> bool:
    """Whether the process sleeps in a read of its stdin or a write to its stdout."""
    try:
        number, argument, *_ = Path(f"/proc/{pid}/syscall").read_text().split()
    except (OSError, ValueError):  # ended, or "running"
        return False
    return (int(number), int(argument, 16)) in PIPE_CALLS[platform.machine()]


def decompressors(daemon_pid: int) -> list[int]:
    """The processes named unpigz below a daemon; behind a wrapper script the script comes first."""
    samples = (stage(pid) for pid in descendants(daemon_pid))
    return [sample.pid for sample in samples if sample and sample.comm == "unpigz"]


def untars(daemon_pid: int) -> list[int]:
    """The docker-untar children of a daemon; only their argument list names them."""
    found = []
    for pid in children(daemon_pid):
        try:
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"docker-untar\0"):
                found.append(pid)
        except OSError:
            continue
    return found


def blob_files(daemon_pid: int) -> list[BlobFile]:
    """The layer files that a daemon holds open."""
    found = []
    for descriptor in os.listdir(f"/proc/{daemon_pid}/fd"):
        try:
            target = os.readlink(f"/proc/{daemon_pid}/fd/{descriptor}")
            if "/GetImageBlob" not in target:
                continue
            size = Path(f"/proc/{daemon_pid}/fd/{descriptor}").stat().st_size
            notes = Path(f"/proc/{daemon_pid}/fdinfo/{descriptor}").read_text()
        except OSError:
            continue
        found.append(BlobFile(Path(target.split(" ")[0]).name, size, int(notes.split()[1])))
    return sorted(found, key=lambda blob: blob.name)


def stands_still(daemon_pid: int, for_s: float = 1.0) -> bool:
    """Whether a pull is in extraction and not one byte moves for this long."""
    before = _moving_parts(daemon_pid)
    time.sleep(for_s)
    return bool(decompressors(daemon_pid)) and before == _moving_parts(daemon_pid)


def _moving_parts(daemon_pid: int) -> list[object]:
    pids = decompressors(daemon_pid) + untars(daemon_pid)
    samples = [stage(pid) for pid in pids]
    return [*blob_files(daemon_pid), *((s.pid, s.progress) for s in samples if s)]
