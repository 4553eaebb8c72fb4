"""Runs the checks that need a booted systemd, in guests: `python3 -m tests.vm [SUITE...] [-- PYTEST...]`.

First come the tests that need another Python only; with a selection for pytest they are left out.
As many guests run at once as there are processors: each mostly waits.

Prints one line for each check as it ends, a table of all, and a closing line
`N passed, N failed`; exits 1 when one failed.

Needs root, mmdebstrap, QEMU and e2fsprogs, and what the Debian package is built with.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from tests.vm import cargo, guest, image, native
from tests.vm.host_command import CommandFailed
from tests.vm.side_by_side import Told, side_by_side
from tests.vm.suite import SUITES
from tests.vm.tally import Tally

GUEST_DEADLINE_S = 4 * 3600.0
NEEDED = (
    "mmdebstrap",
    "mke2fs",
    "qemu-system-x86_64",
    "dpkg-buildpackage",
    "dh",
    "dh_python3",
    "clang",
    "git",
)
PACKAGES = "mmdebstrap e2fsprogs qemu-system-x86 dpkg-dev debhelper dh-python clang llvm libbpf-dev"


def main(arguments: Sequence[str]) -> int:
    suites, selection = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a guest ends with us
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        print(f"tests.vm: needs root and {PACKAGES}; missing: {' '.join(missing) or 'root'}", file=sys.stderr)
        return 2
    tally = Tally()
    with _alone(), tempfile.TemporaryDirectory(prefix="pwvm-") as work:
        try:
            disk = cargo.pack(Path(work), selection)
            systems = {name: image.image_of(SUITES[name]) for name in suites}
            told = {name: _tell(name, system, disk, bool(selection)) for name, system in systems.items()}
            with contextlib.closing(side_by_side(told, os.cpu_count() or 1)) as all_told:
                for line in filter(None, itertools.starmap(tally.take, all_told)):
                    print(line, flush=True)
        except CommandFailed as error:
            print(f"tests.vm: {error}", file=sys.stderr)
            return 2
    print("", *tally.table(), "", tally.closing_line(), sep="\n")
    return 0 if tally.good else 1


def _tell(name: str, system: image.Image, disk: Path, is_selected: bool) -> Told:
    """What tests/vm/tally.py reads, of one release."""
    if not is_selected:
        yield from native.run(system, disk.parent / cargo.CHECKOUT_COPY, disk.parent)
    yield from guest.run(system, disk, image.CACHE / f"{name}.console", GUEST_DEADLINE_S)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One run at a time: guests are as slow as the processors that they get."""
    image.CACHE.mkdir(parents=True, exist_ok=True)
    with (image.CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _parse(arguments: Sequence[str]) -> Tuple[List[str], List[str]]:
    """The suites, and after `--` what chooses among the checks."""
    words = list(arguments)
    cut = words.index("--") if "--" in words else len(words)
    unknown = [name for name in words[:cut] if name not in SUITES]
    if unknown:
        raise SystemExit(f"tests.vm: no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}")
    return words[:cut] or list(SUITES), words[cut + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
