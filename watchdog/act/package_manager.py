"""Is somebody installing packages right now?

Law: while a package manager runs, files that it may replace are not touched and
nothing is restarted.  It is known by the lock that it holds; the names of
processes would also fit its idle companions.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Optional, Sequence

from watchdog.errors import ProcessGone, Unavailable
from watchdog.host.proc import Process

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
)
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def running(locks: Sequence[str] = LOCKS) -> Optional[str]:
    """`dpkg (pid 4711)` for whoever holds a package manager's lock; None when nobody does."""
    for path in locks:
        pid = _holder(path)
        if pid is not None:
            return f"{_name(pid)} (pid {pid})"
    return None


def _holder(path: str) -> Optional[int]:
    """The process that holds a POSIX lock on a file; None without one, or without the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path} cannot be looked at: {error.strerror}") from error
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, question))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else int(pid)


def _name(pid: int) -> str:
    try:
        with Process(pid) as process:
            return process.stat().comm
    except ProcessGone:
        return "a package manager"
