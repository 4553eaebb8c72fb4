"""What checks ask of the machine that they run on: programs, units, waiting."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

T = TypeVar("T")
# An emulated machine, on processors that it shares: all deadlines are stretched.
PATIENCE = 5.0
COMMAND_DEADLINE_S = 60.0


def run(*command: str, deadline_s: float = COMMAND_DEADLINE_S, check: bool = True) -> str:
    """What a program prints, errors included.  Raises AssertionError with it when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=deadline_s * PATIENCE,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0 or not check, f"{' '.join(command)}: status {done.returncode}: {said[-3000:]}"
    return said


def ends_with(*command: str) -> Tuple[int, str]:
    """The exit status of a program that may fail, and what it prints."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_DEADLINE_S * PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def run_json(*command: str) -> Any:
    """The JSON that a program prints on its standard output, whatever its exit status."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=COMMAND_DEADLINE_S * PATIENCE,
        check=False,
    )
    trouble = done.stderr.decode(errors="replace")
    assert done.stdout, f"{' '.join(command)}: status {done.returncode}: {trouble}"
    return json.loads(done.stdout)


def wait_until(
    what: str, condition: Callable[[], Optional[T]], deadline_s: float = 60.0, every_s: float = 0.2
) -> T:
    """The first true answer.  Raises AssertionError, saying what was waited for."""
    print(f"\nwaiting: {what}", flush=True)  # on the console, for who wonders what takes so long
    ends_at = time.monotonic() + deadline_s * PATIENCE
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < ends_at, f"not within {deadline_s * PATIENCE:g} s: {what}"
        time.sleep(every_s)


def systemctl(*words: str, deadline_s: float = COMMAND_DEADLINE_S) -> str:
    return run("systemctl", *words, deadline_s=deadline_s)


@contextlib.contextmanager
def drop_in(unit: str, text: str) -> Iterator[None]:
    """While it lasts, whoever starts the unit starts it with this too."""
    folder = Path(f"/run/systemd/system/{unit}.d")
    folder.mkdir(parents=True)
    (folder / "check.conf").write_text(text)
    systemctl("daemon-reload")
    try:
        yield
    finally:
        shutil.rmtree(folder)
        systemctl("daemon-reload")


def show(unit: str, *names: str) -> Dict[str, str]:
    """Properties of a unit, as systemd tells them."""
    lines = run("systemctl", "show", "-p", ",".join(names), unit).splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def prop(unit: str, name: str) -> str:
    """One property of a unit; empty where it is not set."""
    return show(unit, name).get(name, "")


def main_pid(unit: str) -> int:
    return int(prop(unit, "MainPID"))


def journal(unit: str, lines: int = 40) -> str:
    """The last lines of a unit, for the message of a failed check."""
    return run("journalctl", "-u", unit, "-n", str(lines), "--no-pager", "-o", "cat")


def environment(pid: int) -> Dict[str, str]:
    """A process' environment at its start."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def members(unit: str) -> List[int]:
    """The processes in a unit's control group; none where it has no group."""
    group = prop(unit, "ControlGroup").lstrip("/")
    if not group:
        return []
    return [int(pid) for pid in Path("/sys/fs/cgroup", group, "cgroup.procs").read_text().split()]


def mounts() -> List[str]:
    """Where something is mounted, as the host sees it."""
    return [line.split()[4] for line in Path("/proc/1/mountinfo").read_text().splitlines()]


def codename() -> str:
    """Which Debian this is."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return next(line for line in lines if line.startswith("VERSION_CODENAME=")).partition("=")[2]
