"""gzip mounted over the system's own unpigz: in a mount namespace of its own, on a copy of the system.

The tests themselves are in inside_mount_namespace.py.  Out here only that
nothing of it reaches the machine is looked at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).with_name("inside_mount_namespace.py")

# Each folder is covered by an overlay, so what dpkg and mount change is gone with the namespace.
COVER = """
set -eu
mount -t tmpfs nodev "$1"
for folder in usr etc var/lib/dpkg; do
    name=$(echo $folder | tr / -)
    mkdir -p "$1/$name/upper" "$1/$name/work"
    mount -t overlay -o "lowerdir=/$folder,upperdir=$1/$name/upper,workdir=$1/$name/work" overlay "/$folder"
done
shift
exec "$@"
"""


@pytest.mark.lab
def test_in_a_mount_namespace_of_its_own(tmp_path: Path, _lab_is_possible: None) -> None:
    before = machine()
    shell = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", COVER, "sh", str(tmp_path)]
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INSIDE)]

    done = subprocess.run([*shell, *tests], cwd=PROJECT, capture_output=True, timeout=600, check=False)

    assert done.returncode == 0, done.stdout.decode()[-8000:]
    assert machine() == before


def machine() -> object:
    """What a mount or a package could have changed out here."""
    programs = [Path("/usr/bin") / name for name in ("pigz", "unpigz", "gzip")]
    files = [(path.stat().st_ino, path.stat().st_ctime_ns) for path in programs]
    mounts = sorted(Path("/proc/self/mountinfo").read_text().splitlines())
    return files, os.listdir("/etc/dpkg/dpkg.cfg.d"), [line for line in mounts if "pigz" in line]
