"""The file system as another process sees it.

Law: a path is followed inside that process' root and mount namespace, links
included (openat2 with RESOLVE_IN_ROOT), so what is compared is what that
process would open.  Files are compared by device and inode, never by name.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Tuple

from watchdog.errors import Unavailable

_OPENAT2 = 437  # the same number on every architecture, Linux 5.6
_RESOLVE_IN_ROOT = 0x10
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class File:
    """A file that a path leads to.

    `path` is its own, without links.  `changed_ns` is its ctime: a package
    upgrade changes it.
    """

    path: str
    device: int
    inode: int
    mode: int
    owner: int
    changed_ns: int

    @property
    def identity(self) -> Tuple[int, int]:
        """What two files are compared by."""
        return self.device, self.inode

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_program(self) -> bool:
        """What exec.LookPath of Go takes: no directory, and anybody may execute it."""
        return not stat.S_ISDIR(self.mode) and bool(self.mode & 0o111)

    @property
    def is_root_only_directory(self) -> bool:
        """A directory that root alone can put files into."""
        return stat.S_ISDIR(self.mode) and self.owner == 0 and not self.mode & 0o022


class View:
    """The root directory of a process."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd

    def look(self, path: str, follow: bool = True) -> Optional[File]:
        """The file at a path; None when there is none, or a link leads nowhere."""
        fd = self._open(path, os.O_PATH | (0 if follow else os.O_NOFOLLOW))
        if fd is None:
            return None
        try:
            found, real = os.fstat(fd), os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return File(real, found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_ctime_ns)

    def look_path(self, name: str, path_variable: str) -> Optional[str]:
        """Which program a name means with that PATH, as Go's exec.LookPath finds it."""
        for folder in path_variable.split(":"):
            candidate = f"{folder}/{name}"
            found = self.look(candidate) if folder.startswith("/") else None
            if found is not None and found.is_program:
                return candidate
        return None

    @contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """An open descriptor of a directory, to make or remove names in.  Raises Unavailable."""
        fd = self._open(path, os.O_PATH | os.O_DIRECTORY)
        if fd is None:
            raise Unavailable(f"there is no directory {path}")
        try:
            yield fd
        finally:
            os.close(fd)

    def is_writable(self, path: str) -> bool:
        """True for a directory that we may make names in: not on a read-only file system."""
        fd = self._open(path, os.O_PATH | os.O_DIRECTORY)
        if fd is None:
            return False
        try:
            return os.access(f"/proc/self/fd/{fd}", os.W_OK)
        finally:
            os.close(fd)

    def holds_files(self, path: str) -> bool:
        """True for a directory that is there and not empty."""
        fd = self._open(path, os.O_RDONLY | os.O_DIRECTORY)
        if fd is None:
            return False
        try:
            with os.scandir(fd) as entries:
                return next(entries, None) is not None
        finally:
            os.close(fd)

    def _open(self, path: str, flags: int) -> Optional[int]:
        how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        fd: int = _libc.syscall(_OPENAT2, self._root_fd, os.fsencode(path), how, len(how))
        if fd >= 0:
            return fd
        error = ctypes.get_errno()
        if isinstance(OSError(error, ""), (FileNotFoundError, NotADirectoryError)):
            return None
        raise Unavailable(f"{path} cannot be looked at: {os.strerror(error)}")


@contextmanager
def view_of(pid: int) -> Iterator[View]:
    """The file system as that process sees it.  Raises Unavailable."""
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(
            f"the root directory of process {pid} cannot be opened: {error.strerror}"
        ) from error
    try:
        yield View(root)
    finally:
        os.close(root)


def mount_namespace(pid: int) -> Tuple[int, int]:
    """Which mount namespace a process lives in.  Raises Unavailable."""
    try:
        found = Path(f"/proc/{pid}/ns/mnt").stat()
    except OSError as error:
        raise Unavailable(f"the mount namespace of process {pid} cannot be seen: {error.strerror}") from error
    return found.st_dev, found.st_ino
