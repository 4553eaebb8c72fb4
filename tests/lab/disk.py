"""A disk of its own for dockerd's data, which can be frozen like a dead one.

While it is frozen every write to it sleeps in state D and survives SIGKILL, so the
thaw is promised three times: by the `with` block, by a timer in a process of its
own, and by the lab's clean-up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.lab import cleanup
from tests.lab.processes import SYSTEM_PATH, Cell, run

FIFREEZE = 0xC0045877
THAW_LATEST = 'sleep "$1" && exec fsfreeze --unfreeze "$2"'


class Disk:
    """An ext4 file system in a sparse file, mounted at the lab's data folder."""

    def __init__(self, root: Path, cell: Cell, size_mb: int) -> None:
        self.mount_point = root / "data"
        self._log = root / "disk.log"
        self._cell = cell
        self.mount_point.mkdir()
        image = root / "disk.img"
        with image.open("wb") as sparse:
            sparse.truncate(size_mb << 20)
        run("mke2fs", "-q", "-t", "ext4", str(image))
        run("mount", "-o", "loop", str(image), str(self.mount_point))

    @contextlib.contextmanager
    def frozen(self, at_most_s: int = 60) -> Iterator[None]:
        """Let no write through for the length of the block, and never longer than `at_most_s`.

        Nothing in the block may write below the data folder, nor wait for dockerd.
        """
        command = ["sh", "-c", THAW_LATEST, "thaw", str(at_most_s), str(self.mount_point)]
        timer = self._cell.spawn(command, "disk", self._log, {"PATH": SYSTEM_PATH})
        try:
            self._freeze()
            yield
        finally:
            cleanup.thaw_disks(self.mount_point)
            os.killpg(timer.pid, signal.SIGKILL)
            timer.wait()

    def _freeze(self) -> None:
        folder = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, FIFREEZE, 0)
        finally:
            os.close(folder)
