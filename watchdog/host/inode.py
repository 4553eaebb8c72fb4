"""A file's identity and size, asked of memory only.

Law: no file system and no server is waited for.  An open or running file has
its inode in memory, and statx(2) with AT_STATX_DONT_SYNC answers from there,
on NFS and FUSE too.  stat(2) would ask the server.
"""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from typing import Optional

_AT_FDCWD = -100
_AT_STATX_DONT_SYNC = 0x4000
_STATX_INO, _STATX_SIZE, _STATX_MNT_ID = 0x100, 0x200, 0x1000
_BUFFER_BYTES = 256  # sizeof(struct statx)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Inode:
    """`device` and `number` together name a file, as st_dev and st_ino do.

    `mount_id` is the number of its mount in mountinfo; None before Linux 5.8.
    """

    device: int
    number: int
    size_bytes: int
    mount_id: Optional[int] = None


def look(path: str, folder: int = _AT_FDCWD) -> Inode:
    """The inode behind `path`, relative to the open directory `folder`.  Raises OSError."""
    buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
    wanted = _STATX_INO | _STATX_SIZE | _STATX_MNT_ID
    if _libc.statx(folder, os.fsencode(path), _AT_STATX_DONT_SYNC, wanted, buffer):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    inode_number, size_bytes = struct.unpack_from("=QQ", buffer, 32)  # stx_ino, stx_size
    major, minor, mount_id = struct.unpack_from(
        "=IIQ", buffer, 136
    )  # stx_dev_major, stx_dev_minor, stx_mnt_id
    (answered,) = struct.unpack_from("=I", buffer, 0)  # stx_mask
    return Inode(
        device=os.makedev(major, minor),
        number=inode_number,
        size_bytes=size_bytes,
        mount_id=mount_id if answered & _STATX_MNT_ID else None,
    )
