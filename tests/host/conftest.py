"""Real processes for the tests of what looks at processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import Callable, Iterator, List, Optional, Set

import pytest

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts programs; all of them are ended and reaped after the test."""
    children: List[subprocess.Popen[bytes]] = []

    def start(*argv: str, **options: object) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(argv, **options)  # type: ignore[call-overload]
        children.append(child)
        return child

    yield start
    for child in children:
        child.kill()
        child.wait(timeout=10)
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def wait_until(what: Callable[[], Optional[object]], deadline_s: float = 10.0) -> object:
    """The first true answer; fails when there is none in time."""
    ends_at = time.monotonic() + deadline_s
    while time.monotonic() < ends_at:
        answer = what()
        if answer:
            return answer
        time.sleep(0.01)
    raise AssertionError(f"never true: {what}")


@contextlib.contextmanager
def no_descriptor_kept() -> Iterator[None]:
    """Fails when the code within leaves a descriptor open in this process.

    A server of the tests is a thread of it, and may close its own a little later.
    """
    before = _descriptors()
    yield
    wait_until(lambda: _descriptors() <= before)


def _descriptors() -> Set[str]:
    """Those of this process, without the one that the look itself needs."""
    return {one for one in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{one}")}
