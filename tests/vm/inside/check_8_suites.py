"""The project's own tests that look at a kernel, with this release's.

Those that need a lab have their checks here, and those that need no kernel run
outside (see tests/vm/native.py): an emulated machine is slow.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.vm.inside.telling import tell_more

FOLDERS = ("tests/host", "tests/sense")


@pytest.mark.parametrize("folder", FOLDERS)
def check_suite(folder: str) -> None:
    """The project's tests pass."""
    options = ("-q", "--tb=short", "-rfEs", "-p", "no:cacheprovider", "-m", "not lab", "--durations=12")
    done = subprocess.run(
        ["/usr/bin/python3", "-m", "pytest", *options, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1800,
        check=False,
    )
    said = done.stdout.decode(errors="replace").strip()
    tell_more(said.splitlines()[-1].strip("= "))
    assert done.returncode == 0, said[-6000:]
