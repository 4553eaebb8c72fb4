"""Files of ours, kept where nobody with fewer rights can put others in their place.

Law: RUN_DIR and STATE_DIR may belong to a group, the agent's.  So a file there is
opened only where it is a plain file of ours, and no link.  What others would
execute or what we rest on lies in a directory of our own beside RUN_DIR.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from watchdog.errors import Refused, Unavailable


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file that is ours, made with mode 600.  Raises Refused, or OSError."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid in (0, os.geteuid()):
        return fd
    os.close(fd)
    raise Refused(f"{path} is no plain file of ours (it belongs to user {found.st_uid}): move it aside")


def make_folder(path: Path) -> None:
    """Make a directory that we alone can write to.  Raises Refused where it is not so."""
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise Unavailable(f"{path} cannot be made: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Refused(f"{path} must be a directory that root alone can write to: remove it")
