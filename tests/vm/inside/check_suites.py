"""The tests that need no systemd pass with this release's Python and libraries too."""

from __future__ import annotations

import subprocess

import pytest

SUITES = ("tests/core", "tests/host", "tests/report", "tests/cli")


@pytest.mark.parametrize("folder", SUITES)
def check_suite(folder: str) -> None:
    """the project's own tests pass."""
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1500,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    print(said)
    assert done.returncode == 0, said[-3000:]
