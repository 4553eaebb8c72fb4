"""The project's tests that ask nothing of a kernel, with a release's own Python and libraries.

They run in its image's file system and on this host's kernel and processor: an
emulated machine would take a quarter of an hour for what takes a minute here.

Law: a mount namespace of their own holds all that is mounted, and goes with them.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Iterator

from tests.vm.host_command import NICE
from tests.vm.image import Image

# What is tested together; a shell reads it in the checkout.
GROUPS = ("tests/core", "tests/report", "tests/test_config*.py tests/test_event_layout.py")
DEADLINE_S = 900.0
MOST_DETAIL_LINES = 40
# Arguments: the image, an empty folder, the checkout, what to test as a pattern.
SCRIPT = """\
set -e
mount -o loop,ro "$1" "$2"
mount -t tmpfs tmpfs "$2/tmp"
mount --rbind /proc "$2/proc"
mount --rbind /dev "$2/dev"
mount --bind "$3" "$2/srv"
exec chroot "$2" env -i HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 \
	sh -c 'cd /srv && exec /usr/bin/python3 -m pytest -q --tb=short -p no:cacheprovider $0' "$4"
"""


def run(system: Image, checkout: Path, work: Path) -> Iterator[str]:
    """What tests/vm/tally.py reads, for each group as it is done."""
    root = work / "root"
    root.mkdir(exist_ok=True)
    for group in GROUPS:
        began = time.monotonic()
        done = subprocess.run(
            [*NICE, "unshare", "-m", "sh", "-c", SCRIPT, "sh", system.disk, root, checkout, group],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE_S,
            check=False,
        )
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["nothing was said"]
        outcome = "passed" if done.returncode == 0 else "failed"
        yield f"{outcome} {time.monotonic() - began:.1f} {group} passes with this release's Python"
        yield from (f"| {line}" for line in said[-1 if outcome == "passed" else -MOST_DETAIL_LINES :])
