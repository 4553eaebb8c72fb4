"""Faults: a fake unpigz that goes wrong on command, and things done to a process from outside.

The fake truly decompresses until its fault begins, so a pull through it succeeds
when it is not armed.  What goes wrong, after how many bytes and how often stands
in a control file that the fake reads at its start.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from tests.lab import cleanup, images, sight
from tests.lab.processes import end, run, send, wait_until

SOURCE = Path(__file__).with_name("fake_unpigz.c")
WRAPPER = '#!/bin/sh\n"{program}" "$@"\nexit $?\n'  # the last line keeps the shell from being replaced
ALWAYS = -1


class Fault(Enum):
    """What an armed unpigz does when it has written enough."""

    NONE = "none"
    STOP = "stop"  # SIGSTOPs itself, and goes on after a SIGCONT
    SPIN = "spin"  # 100 % CPU, no bytes
    PAUSE = "pause"  # sleeps for ever, outside its pipes
    SLOW = "slow"  # 50 KB/s; at full speed again once it is disarmed


class Form(Enum):
    """How it stands in dockerd's PATH."""

    BINARY = "binary"  # a program of its own named unpigz
    LINK = "link"  # unpigz is a link to pigz
    WRAPPER = "wrapper"  # unpigz is a shell script that runs the program as its child


class FakeUnpigz:
    """The lab's unpigz.  Not installed, dockerd finds the system's own."""

    def __init__(self, root: Path, programs: Path) -> None:
        self.path = programs / "unpigz"
        self._inner = root / "libexec" / "unpigz"
        self._control = root / "unpigz.fault"
        self.disarm()

    def install(self, form: Form = Form.BINARY) -> None:
        """Place it where dockerd looks first; in force from the next layer on."""
        self.remove()
        if form is Form.BINARY:
            shutil.copy(compiled(), self.path)
        elif form is Form.LINK:
            shutil.copy(compiled(), self.path.with_name("pigz"))
            self.path.symlink_to("pigz")
        else:
            self._inner.parent.mkdir(exist_ok=True)
            shutil.copy(compiled(), self._inner)
            self.path.write_text(WRAPPER.format(program=self._inner))
            self.path.chmod(0o755)

    def remove(self) -> None:
        """Give dockerd the system's unpigz again."""
        for program in (self.path, self.path.with_name("pigz"), self._inner):
            program.unlink(missing_ok=True)

    def arm(self, fault: Fault, after_bytes: int = 4 * images.MB, runs: int = ALWAYS) -> None:
        """From the next start on: this fault after so many bytes of output, in so many runs."""
        with self._control.open("a+") as control:
            fcntl.flock(control, fcntl.LOCK_EX)
            control.truncate(0)
            control.write(f"{fault.value} {after_bytes} {runs}\n")

    def disarm(self) -> None:
        """Runs that start from now on are healthy, and a slow one goes on at full speed."""
        self.arm(Fault.NONE, 0, 0)


def compiled() -> Path:
    """The fake's program, compiled once for each version of its source."""
    program = images.CACHE / f"fake_unpigz-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    with images.cache_lock():
        if not program.exists():
            unfinished = program.with_suffix(".part")
            run("cc", "-O2", "-Wall", "-Werror", "-o", str(unfinished), str(SOURCE), "-lz")
            unfinished.rename(program)
    return program


# --- from outside -----------------------------------------------------------


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process stopped by a signal; it goes on after the block, if it is still there."""
    send(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: sight.state(pid) == "T", f"process {pid} is stopped", 5.0)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            send(pid, signal.SIGCONT)


@contextlib.contextmanager
def frozen_by_cgroup(pid: int, lab_name: str, version: int) -> Iterator[None]:
    """A process moved into a frozen control group of the lab, v1 or v2."""
    unified, *freezer = cleanup.cgroup_mounts()
    group = (unified if version == 2 else freezer[0]) / lab_name / "frozen"
    group.mkdir(parents=True, exist_ok=True)
    (group / "cgroup.procs").write_text(str(pid))
    switch, on, off = _FREEZERS[version]
    (group / switch).write_text(on)
    try:
        wait_until(lambda: _is_frozen(group, version), f"process {pid} is frozen", 5.0)
        yield
    finally:
        (group / switch).write_text(off)


_FREEZERS = {1: ("freezer.state", "FROZEN", "THAWED"), 2: ("cgroup.freeze", "1", "0")}


def _is_frozen(group: Path, version: int) -> bool:
    if version == 1:
        return (group / "freezer.state").read_text().strip() == "FROZEN"
    return "frozen 1" in (group / "cgroup.events").read_text()


@contextlib.contextmanager
def traced(pid: int) -> Iterator[int]:
    """A process held by gdb, as an engineer who looks at it does; yields gdb's pid."""
    gdb = subprocess.Popen(
        ["gdb", "-q", "-nx", "-p", str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: sight.state(pid) == "t", f"gdb holds process {pid}", 20.0)
        yield gdb.pid
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            gdb.communicate(b"detach\nquit\n", timeout=10.0)
        end(gdb)
