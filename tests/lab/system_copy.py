"""A copy of this system in a mount namespace of its own: what is changed there is gone with it.

For experiments that replace the system's own programs, or install packages: /usr,
/etc and dpkg's data are covered by overlays, and nothing reaches the machine.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("/usr", "/etc", "/var/lib/dpkg")

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


def run_inside(command: Sequence[str], deadline_s: float) -> subprocess.CompletedProcess[str]:
    """Run a program in such a copy, from the project's folder.  Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="pwcopy-") as covers:
        enter = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", COVER, "sh", covers]
        return subprocess.run(
            [*enter, *command], cwd=PROJECT, capture_output=True, text=True, timeout=deadline_s, check=False
        )


def require() -> None:
    """Raise RuntimeError outside of such a copy: what follows would change the machine."""
    if not all(Path(folder).is_mount() for folder in FOLDERS):
        raise RuntimeError("this may only run in a copy of the system: it replaces programs in /usr/bin")
