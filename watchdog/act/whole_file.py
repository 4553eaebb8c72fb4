"""Somebody else's text file, replaced in one step.

Law: the file is there whole at every moment, old or new, with the owner, the mode
and the label that it had.  It is replaced only if it is what it was when it was
looked at; what is a link, has a second name, or lies where others than root can
write, is left alone.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Optional

from watchdog.act.bind_mount import mount_points
from watchdog.errors import Refused

_MOST_BYTES = 1 << 20


def read(path: Path) -> str:
    """Its text.  Refused where it cannot be read, is too long for a configuration, or is no UTF-8."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Refused(f"{path} is no plain file")
            content = file.read(_MOST_BYTES + 1)
            text = content.decode("utf-8")
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8") from None
    if len(content) > _MOST_BYTES:
        raise Refused(f"{path} is too long for a configuration")
    return text


def check(path: Path) -> None:
    """Refused unless the file may be replaced."""
    try:
        file, folder = path.lstat(), path.parent.stat()
        writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    except OSError as error:
        raise Refused(f"{path} cannot be used: {error.strerror}") from error
    if not stat.S_ISREG(file.st_mode):
        raise Refused(f"{path} is no plain file")
    if str(path) in mount_points(os.getpid()):
        raise Refused(f"{path} is mounted there: whoever mounted it writes it")
    if file.st_nlink != 1:
        raise Refused(f"{path} has {file.st_nlink} names: to replace one would part it from the others")
    if folder.st_uid != 0 or folder.st_mode & 0o022:
        raise Refused(f"others than root can write to {path.parent}")
    if not writable:
        raise Refused(f"{path} is read-only here")


def replace_text(path: Path, old: str, new: str) -> None:
    """Write `new` where `old` stands.  Refused, with nothing changed, where it does not or cannot be."""
    check(path)
    fresh = path.with_name(f".{path.name}.pull-watchdog")
    try:
        write_fresh(fresh, path, new)
        if read(path) != old:
            raise Refused(f"somebody has changed {path} since it was looked at")
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            fresh.unlink()


def write_fresh(fresh: Path, old: Optional[Path], text: str) -> None:
    """The new content on the disk, with the owner, the mode and the label of the old file.

    `old` None: there is none, and everybody may read the new one.  Raises OSError.
    """
    with suppress(FileNotFoundError):
        fresh.unlink()
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        if old is None:
            os.fchmod(fd, 0o644)
        else:
            _make_alike(fd, old)
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(fd)


def sync_folder(path: Path) -> None:
    """Have the names in a directory on the disk.  Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_alike(fd: int, old: Path) -> None:
    was = old.stat()
    os.fchown(fd, was.st_uid, was.st_gid)
    os.fchmod(fd, stat.S_IMODE(was.st_mode))
    for name in os.listxattr(old):
        with suppress(OSError):  # a file system may keep some for itself
            os.setxattr(fd, name, os.getxattr(old, name))
