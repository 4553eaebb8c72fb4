"""gzip mounted over the system's own unpigz: in a mount namespace of its own, on a copy of the system.

The tests themselves are in inside_mount_namespace.py.  Out here only that
nothing of it reaches the machine is looked at.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.lab import system_copy

INSIDE = Path(__file__).with_name("inside_mount_namespace.py")


@pytest.mark.lab
def test_in_a_mount_namespace_of_its_own(_lab_is_possible: None) -> None:
    before = machine()
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INSIDE)]

    done = system_copy.run_inside(tests, 600.0)

    assert done.returncode == 0, done.stdout[-8000:]
    assert machine() == before


def machine() -> object:
    """What a mount or a package could have changed out here."""
    programs = [Path("/usr/bin") / name for name in ("pigz", "unpigz", "gzip")]
    files = [(path.stat().st_ino, path.stat().st_ctime_ns) for path in programs]
    mounts = sorted(Path("/proc/self/mountinfo").read_text().splitlines())
    return files, os.listdir("/etc/dpkg/dpkg.cfg.d"), [line for line in mounts if "pigz" in line]
