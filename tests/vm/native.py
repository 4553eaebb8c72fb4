"""The project's tests that ask nothing of a kernel, with a release's own Python and libraries.

They run in its image's file system and on this host's kernel and processor: an
emulated machine would take a quarter of an hour for what takes a minute here.
What needs a lab has its checks in the guest.

Law: a mount namespace of their own holds all that is mounted, and goes with them.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Generator, Iterator, Sequence, TextIO, Union

from tests.vm.host_command import NICE
from tests.vm.image import Image

# What is tested together; a shell reads it in the checkout.
GROUPS = ("tests/core", "tests/report", "tests/cli", "tests/test_config*.py tests/test_event_layout.py")
DEADLINE_S = 900.0
MOST_DETAIL_LINES = 40
_LOOK_EVERY_S = 0.5
# Arguments: the image, an empty folder, the checkout, what to test as a pattern.
SCRIPT = """\
set -e
mount -o loop,ro "$1" "$2"
mount -t tmpfs tmpfs "$2/tmp"
mount --rbind /proc "$2/proc"
mount --rbind /dev "$2/dev"
mount --bind "$3" "$2/srv"
exec chroot "$2" env -i HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1 \
	sh -c 'cd /srv && exec /usr/bin/python3 -m pytest -q --tb=short -m "not lab" -p no:cacheprovider $0' "$4"
"""


def run(system: Image, checkout: Path, work: Path) -> Iterator[str]:
    """What tests/vm/tally.py reads, for each group as it is done; "" while one is under way."""
    root = work / "root"
    root.mkdir(exist_ok=True)
    for group in GROUPS:
        began = time.monotonic()
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            status = yield from _run(
                [*NICE, "unshare", "-m", "sh", "-c", SCRIPT, "sh", system.disk, root, checkout, group], output
            )
            output.seek(0)
            said = output.read().strip().splitlines() or ["nothing was said"]
        outcome = "passed" if status == 0 else "failed"
        yield f"{outcome} {time.monotonic() - began:.1f} {group} passes with this release's Python"
        yield from (f"| {line}" for line in said[-1 if outcome == "passed" else -MOST_DETAIL_LINES :])


def _run(argv: Sequence[Union[str, Path]], output: TextIO) -> Generator[str, None, int]:
    """The exit status; says "" while it runs, and ends it when its time is up or nobody listens."""
    ends_at = time.monotonic() + DEADLINE_S
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            while process.poll() is None and time.monotonic() < ends_at:
                yield ""
                time.sleep(_LOOK_EVERY_S)
        finally:
            process.kill()
    return process.returncode
