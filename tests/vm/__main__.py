"""Runs the checks that need a booted systemd, in guests: `python3 -m tests.vm [SUITE...] [-- PYTEST...]`.

First come the tests that need another Python only; with a selection for pytest they are left out.

Prints one line for each check as it ends, a table of all, and a closing line
`N passed, N failed`; exits 1 when one failed.

Needs root, mmdebstrap, QEMU and e2fsprogs, and what the Debian package is built with.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import List, Sequence, Tuple

from tests.vm import cargo, guest, image, native
from tests.vm.host_command import CommandFailed
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
    with tempfile.TemporaryDirectory(prefix="pwvm-") as work:
        try:
            disk = cargo.pack(Path(work), selection)
            for name in suites:
                system = image.image_of(SUITES[name])
                told = [guest.run(system, disk, image.CACHE / f"{name}.console", GUEST_DEADLINE_S)]
                if not selection:
                    told.insert(0, native.run(system, Path(work, cargo.CHECKOUT_COPY), Path(work)))
                for line in itertools.chain.from_iterable(tally.follow(name, lines) for lines in told):
                    print(line, flush=True)
        except CommandFailed as error:
            print(f"tests.vm: {error}", file=sys.stderr)
            return 2
    print("", *tally.table(), "", tally.closing_line(), sep="\n")
    return 0 if tally.good else 1


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
