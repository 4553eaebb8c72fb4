"""Starting, signalling and waiting for processes of a lab.

Law: every process of a lab is born inside the lab's own control group, so that it
can be found and ended even when it was orphaned, stopped or frozen; nothing is
ever looked up by name on the whole machine, and every wait has a deadline.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.lab import cleanup

# Last, what `dev` unpacked because installing it would start a service.
UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "root" / "usr"
SYSTEM_PATH = f"/usr/sbin:/usr/bin:/sbin:/bin:{UNPACKED}/bin:{UNPACKED}/sbin"
ENTER_GROUP = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], what: str, deadline_s: float = 30.0, every_s: float = 0.02
) -> T:
    """The first true answer of `condition`.  Raises TimeoutError, saying what was waited for."""
    give_up = time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > give_up:
            raise TimeoutError(f"not within {deadline_s:g} s: {what}")
        time.sleep(every_s)
    return answer


class Cell:
    """The control group in which all processes of one lab live."""

    def __init__(self, name: str) -> None:
        self.path = next(cleanup.cgroup_mounts()) / name
        self.path.mkdir()

    def group(self, name: str) -> Path:
        """A control group below the lab's own, made when it is first asked for."""
        path = self.path / name
        path.mkdir(exist_ok=True)
        return path

    def spawn(
        self,
        command: Sequence[str],
        group: str,
        output: Path,
        environment: Mapping[str, str],
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start `command` in a session of its own, with both outputs appended to a file."""
        with output.open("ab") as sink:
            return subprocess.Popen(
                ["sh", "-c", ENTER_GROUP, str(self.group(group)), *command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
            )


def start_guard(root: Path) -> subprocess.Popen[bytes]:
    """A process outside the lab that cleans it up when the test process ends in any way."""
    return subprocess.Popen(
        [sys.executable, "-I", cleanup.__file__, str(root)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], deadline_s: float = 10.0) -> int:
    """End a child: SIGTERM, then SIGKILL at the deadline.  Returns its exit status."""
    process.terminate()
    try:
        return process.wait(deadline_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(deadline_s)


def send(pid: int, signal_number: signal.Signals) -> None:
    """Signal one process that the caller has found.  Raises ProcessLookupError if it has ended."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal_number)
    finally:
        os.close(pidfd)


def has_ended(pid: int, within_s: float = 0.0) -> bool:
    """Whether the process ended, or ends within the time given.  A zombie has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], within_s)[0])
    finally:
        os.close(pidfd)


def kill(pid: int, deadline_s: float = 10.0) -> None:
    """SIGKILL one process and wait for its end.  Raises TimeoutError if it stays."""
    with contextlib.suppress(ProcessLookupError):
        send(pid, signal.SIGKILL)
    if not has_ended(pid, deadline_s):
        raise TimeoutError(f"process {pid} is still there {deadline_s:g} s after SIGKILL")


def run(*command: str, deadline_s: float = 30.0, cwd: Path | None = None) -> str:
    """Run a program for its effect; returns what it printed.  Raises RuntimeError with what it said."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline_s, check=False, cwd=cwd
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {said.strip()}")
    return said
