"""One action at a time on a host: a lock that the agent's actions and a person's share.

Law: the lock is the kernel's (flock), so it ends with the process that holds
it, however that process ends.  Waiting has a deadline, and who waits in vain is
told who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from watchdog.act.own_file import open_own
from watchdog.errors import Refused, Unavailable

_RETRY_S = 0.05


class Held:
    """A lock that is held; `release` gives it up before the block ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def flock_within(fd: int, seconds: float) -> bool:
    """Lock an open file; False when another process kept it for that long."""
    limit = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= limit:
                return False
            time.sleep(_RETRY_S)


@contextmanager
def hold(run_dir: Path, remedy: str, action: str, wait_s: float) -> Iterator[Held]:
    """Hold RUN_DIR/lock for the length of a block.

    Raises Refused when another action holds it for longer than `wait_s` or it is
    not ours, and Unavailable when the file cannot be opened.
    """
    path = run_dir / "lock"
    try:
        run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = open_own(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise Unavailable(f"the lock {path} cannot be opened: {error.strerror}") from error
    held = Held(fd)
    try:
        if not flock_within(fd, wait_s):
            raise Refused(f"another action is under way: {_holder(fd)}; try again when it has ended")
        note = json.dumps({"pid": os.getpid(), "remedy": remedy, "action": action})
        os.ftruncate(fd, 0)
        os.pwrite(fd, note.encode(), 0)
        yield held
    finally:
        held.release()


def _holder(fd: int) -> str:
    """Who holds the lock, by its own note."""
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        return f"{note['remedy']} (process {note['pid']}, action {note['action']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "the holder left no note"
