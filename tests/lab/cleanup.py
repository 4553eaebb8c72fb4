"""Removes everything that a lab left on the machine, knowing only the lab's folder.

Law: what is frozen is thawed first, because neither SIGKILL nor unmount works on
it; then processes, mounts, loop devices, control groups and files, in this order.
Doing it twice does no harm.

Run as a program it is the lab's guard: it waits until its stdin closes, which
happens when the test process ends in whatever way, and then cleans up.  Only the
standard library is used, so that it runs from anywhere.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FITHAW = 0xC0045878
LOOP_CLR_FD = 0x4C01
MNT_DETACH = 2
DEADLINE_S = 15.0


def clean(root: Path) -> None:
    """Take down the lab at `root`.  Raises TimeoutError if a process or a loop device will not go."""
    thaw_disks(root)
    for group in control_groups(root.name):
        _thaw_group(group)
        _kill_group(group)
    _unmount_all(root)
    _detach_loops(root)
    for group in control_groups(root.name):
        _remove_group(group)
    shutil.rmtree(root, ignore_errors=True)


def leftovers(root: Path) -> list[str]:
    """What is still there of a lab that has ended: one line each, empty when it is clean."""
    found = [f"mount {point}" for point in mounts_below(root)]
    found += [f"loop device {device}" for device in _loops_below(root)]
    found += [f"control group {group}" for group in control_groups(root.name)]
    found += [f"process {pid}: {command}" for pid, command in _processes_naming(root)]
    return found + ([f"folder {root}"] if root.exists() else [])


# --- control groups ---------------------------------------------------------


def cgroup_mounts() -> Iterator[Path]:
    """The unified hierarchy first, then the v1 freezer, as far as they are mounted."""
    for wanted_type, wanted_option in (("cgroup2", ""), ("cgroup", "freezer")):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            if kind == wanted_type and (not wanted_option or wanted_option in options.split(",")):
                yield Path(before.split(" ")[4])
                break


def control_groups(name: str) -> list[Path]:
    """The lab's own control groups, at most one in each hierarchy."""
    return [mount / name for mount in cgroup_mounts() if (mount / name).is_dir()]


def _tree(group: Path) -> list[Path]:
    return [group, *(path for path in group.rglob("*") if path.is_dir())]


def _thaw_group(group: Path) -> None:
    for path in _tree(group):
        for switch, thawed in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
            # The root of a hierarchy has no such switch, and each version has only its own.
            with contextlib.suppress(OSError):
                if (path / switch).exists():
                    (path / switch).write_text(thawed)


def _members(group: Path) -> list[int]:
    return [int(pid) for path in _tree(group) for pid in (path / "cgroup.procs").read_text().split()]


def _kill_group(group: Path) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while pids := _members(group):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > give_up:
            raise TimeoutError(f"these processes of {group} do not end: {pids}")
        time.sleep(0.02)


def _remove_group(group: Path) -> None:
    for path in reversed(_tree(group)):
        with contextlib.suppress(OSError):
            path.rmdir()


# --- mounts and loop devices ------------------------------------------------


def mounts_below(root: Path) -> list[Path]:
    """Mount points at or below `root`, the latest first."""
    points = (line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [Path(point) for point in points if point == str(root) or point.startswith(f"{root}/")][::-1]


def thaw_disks(root: Path) -> None:
    """Thaw every frozen file system mounted below `root`."""
    for point in mounts_below(root):
        with contextlib.suppress(OSError):
            folder = os.open(point, os.O_RDONLY)
            try:
                fcntl.ioctl(folder, FITHAW, 0)
            finally:
                os.close(folder)


def _unmount_all(root: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for point in mounts_below(root):
        if libc.umount2(os.fsencode(point), 0) != 0:
            libc.umount2(os.fsencode(point), MNT_DETACH)


def _loops_below(root: Path) -> list[Path]:
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if backing.read_text().startswith(f"{root}/"):
                found.append(Path("/dev") / backing.parts[3])
    return found


def _detach_loops(root: Path) -> None:
    give_up = time.monotonic() + 4 * DEADLINE_S  # what waited for a frozen disk has much to write
    while devices := _loops_below(root):
        for device in devices:
            with contextlib.suppress(OSError), device.open("rb") as opened:
                fcntl.ioctl(opened, LOOP_CLR_FD)
        if time.monotonic() > give_up:
            raise TimeoutError(f"still in use: {devices}")
        time.sleep(0.05)


def _processes_naming(root: Path) -> Iterator[tuple[int, str]]:
    """Processes whose command line names the lab.  Our own and the guard's do too."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(root) in command and "cleanup.py" not in command:
                yield int(entry.name), command.strip()


def guard() -> None:
    sys.stdin.buffer.read()
    clean(Path(sys.argv[1]))


if __name__ == "__main__":
    guard()
