"""What the checks inside a guest share: the machine, and the package that is put on it."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional, TypeVar

import pytest

T = TypeVar("T")
UNIT = "pull-watchdog.service"
DIST = Path("/srv/dist")


def run(*command: str, deadline_s: float = 120.0, check: bool = True) -> str:
    """What a program prints on both its outputs.  Raises AssertionError with it when it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=deadline_s,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0 or not check, f"{' '.join(command)}: status {done.returncode}: {said[-3000:]}"
    return said


def wait_until(what: str, condition: Callable[[], Optional[T]], deadline_s: float = 60.0) -> T:
    """The first true answer.  Raises AssertionError, saying what was waited for."""
    ends_at = time.monotonic() + deadline_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < ends_at, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.2)


def show(unit: str, *properties: str) -> Dict[str, str]:
    """Properties of a unit, as systemd tells them."""
    lines = run("systemctl", "show", "-p", ",".join(properties), unit).splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def journal(unit: str = UNIT, lines: int = 60) -> str:
    return run("journalctl", "-u", unit, "-n", str(lines), "--no-pager", "-o", "short-monotonic")


@pytest.fixture(scope="session")
def kernel() -> str:
    return platform.release()


@pytest.fixture(scope="session")
def installed() -> Iterator[None]:
    """The package, installed as an operator does it."""
    run("dpkg", "-i", *(str(one) for one in DIST.glob("*.deb")), deadline_s=300.0)
    yield
