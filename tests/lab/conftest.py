"""Fixtures of the lab: skipped where there is no root, dockerd or registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH

NEEDED = ("dockerd", "containerd", "docker-registry", "unpigz", "cc", "gdb")


@pytest.fixture(scope="session", autouse=True)
def _lab_is_possible() -> None:
    missing = [program for program in NEEDED if shutil.which(program, path=SYSTEM_PATH) is None]
    if os.geteuid() != 0:
        missing.insert(0, "root")
    if missing:
        pytest.skip(f"the lab needs {', '.join(missing)}")


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab of its own for one test."""
    with Lab() as running:
        yield running
