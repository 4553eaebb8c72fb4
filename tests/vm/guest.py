"""A guest: a whole Debian system in an emulated machine, alive for one run of the checks.

Law: it runs as gently as possible, writes to no image, and is ended at its
deadline whatever it does.  What it tells comes over its second serial
line; the first has the console.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Iterator, TextIO

from tests.vm.host_command import NICE
from tests.vm.image import CACHE, Image

MEMORY_MB = 3000
_LOOK_EVERY_S = 0.5


def run(system: Image, cargo: Path, console: Path, deadline_s: float) -> Iterator[str]:
    """Boot, and yield the guest's lines as they come, until it powers off or its time is up.

    "" when there is none yet.
    """
    with tempfile.TemporaryDirectory(prefix=".run-", dir=CACHE) as work:
        told = Path(work, "told")
        told.touch()
        machine = subprocess.Popen(
            _command(system, cargo, console, told),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": work},
        )
        try:
            with told.open(errors="replace") as lines:
                yield from _follow(lines, machine, time.monotonic() + deadline_s)
        finally:
            machine.kill()
            machine.wait()


def _follow(lines: TextIO, machine: subprocess.Popen[bytes], ends_at: float) -> Iterator[str]:
    rest = ""
    while True:
        ended = machine.poll() is not None or time.monotonic() > ends_at
        *whole, rest = (rest + lines.read()).split("\n")
        yield from (line.rstrip("\r") for line in whole)
        if ended:
            return
        yield ""
        time.sleep(_LOOK_EVERY_S)


def _command(system: Image, cargo: Path, console: Path, told: Path) -> list[str]:
    return [
        *(*NICE, "qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"),
        *("-smp", "2", "-m", str(MEMORY_MB), "-no-reboot"),
        *("-display", "none", "-monitor", "none", "-nic", "none"),
        *("-serial", f"file:{console}", "-serial", f"file:{told}"),
        *("-kernel", str(system.kernel), "-initrd", str(system.initrd)),
        # A snapshot: what the guest writes is gone with it.
        *("-drive", f"file={system.disk},if=virtio,format=raw,snapshot=on"),
        *("-drive", f"file={cargo},if=virtio,format=raw,snapshot=on"),
        # An emulated processor has no flaws to work around, and the workarounds take time.
        *("-append", "console=ttyS0 root=/dev/vda rw quiet panic=-1 mitigations=off"),
    ]
