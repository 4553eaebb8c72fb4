"""Tests that need an /etc of their own run in a mount namespace where it is a copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

COPY = """
set -eu
mount -t tmpfs nodev "$1"
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
shift
exec "$@"
"""


def run_tests(file: str, folder: Path) -> None:
    """Run a file of tests there; AssertionError with what pytest said where one fails."""
    shell = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", COPY, "sh", str(folder)]
    inside = str(Path(__file__).with_name(file))
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", inside]
    done = subprocess.run([*shell, *tests], cwd=PROJECT, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout.decode()[-8000:]
