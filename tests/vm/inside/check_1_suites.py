"""The project's own tests, with this release's Python, libraries and kernel."""

from __future__ import annotations

import subprocess

import pytest

from tests.vm.inside.telling import tell_more

FOLDERS = ("tests/core", "tests/host", "tests/report", "tests/cli", "tests/sense", "tests/test_config.py")


@pytest.mark.parametrize("folder", FOLDERS)
def check_suite(folder: str) -> None:
    """The project's tests pass."""
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", "-q", "--tb=short", "-rs", "-p", "no:cacheprovider", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1800,
        check=False,
    )
    said = done.stdout.decode(errors="replace").strip()
    tell_more(said.splitlines()[-1].strip("= "))
    assert done.returncode == 0, said[-4000:]
