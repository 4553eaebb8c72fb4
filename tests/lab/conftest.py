"""Fixtures of the lab: skipped where there is no root, dockerd or registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.lab.dockerd import SYSTEM_PATH
from tests.lab.lab import Lab

NEEDED = ("dockerd", "containerd", "docker-registry", "unpigz", "cc", "gdb")


@pytest.fixture(scope="session")
def _lab_is_possible() -> None:
    missing = [program for program in NEEDED if shutil.which(program, path=SYSTEM_PATH) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"the lab needs root and these programs: {', '.join(missing) or 'all there'}")


@pytest.fixture
def lab(_lab_is_possible: None) -> Iterator[Lab]:
    """A lab of its own for one test."""
    with Lab() as running:
        yield running
