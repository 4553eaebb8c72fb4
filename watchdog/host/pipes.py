"""How full another process' pipe is.

Law: a duplicate of a pipe end keeps the pipe alive, and a reader or writer
that waits for its end would wait for us.  So a duplicate is taken and closed
in one function, and nothing else happens between.  /proc/PID/fd/N is never
opened: that would make a new reader or writer.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct
import termios
from typing import Callable, Optional, Tuple, TypeVar

from watchdog.core.observation import PipeEnd
from watchdog.errors import ProcessGone, Unavailable
from watchdog.host.proc import Process

_Result = TypeVar("_Result")

_PIDFD_GETFD = 438  # the same number on every architecture
_PIPE = "pipe:["
# EINVAL: the number only names the group of what the process has left behind.
_ENDED = (errno.ESRCH, errno.EINVAL)

_libc = ctypes.CDLL(None, use_errno=True)


def look(process: Process, number: int) -> Optional[PipeEnd]:
    """The pipe that descriptor `number` of a process is an end of.

    None when it is closed or no pipe.  Fields stay None where they mean
    nothing for this end.  Raises ProcessGone; Unavailable where we may not look.
    """
    link = process.descriptor(number)
    if link is None or not link.startswith(_PIPE):
        return None
    inode = int(link[len(_PIPE) : -1])
    seen = with_duplicate(process, number, _measure)
    return seen if seen is not None and seen.inode == inode else None


def with_duplicate(process: Process, number: int, ask: Callable[[int], _Result]) -> Optional[_Result]:
    """Ask one quick question about a duplicate of another process' descriptor.

    `ask` gets the duplicate, which is closed on return: it must not keep it and
    must not wait.  None when that descriptor is not open.
    """
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError as error:
        if error.errno not in _ENDED:
            raise
        raise ProcessGone(f"process {process.pid} is gone") from None
    try:
        process.stat()  # still there, so the pidfd is of this process and of no later one
        duplicate = _libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
        if duplicate < 0:
            _raise_unless_closed(process.pid, number, ctypes.get_errno())
            return None
        try:
            return ask(duplicate)
        finally:
            os.close(duplicate)
    finally:
        os.close(pidfd)


def _measure(descriptor: int) -> PipeEnd:
    writes = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    room, hung_up = _poll(descriptor)
    return PipeEnd(
        inode=os.fstat(descriptor).st_ino,
        fill_bytes=_fill(descriptor),
        has_room=room if writes else None,
        hung_up=None if writes else hung_up,
    )


def _fill(descriptor: int) -> int:
    answer = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", answer)[0])


def _poll(descriptor: int) -> Tuple[bool, bool]:
    """Whether a write would go in, and whether the other side is gone."""
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    events = dict(poller.poll(0)).get(descriptor, 0)
    return bool(events & select.POLLOUT), bool(events & select.POLLHUP)


def _raise_unless_closed(pid: int, number: int, error: int) -> None:
    """Tell "no such descriptor", which is an answer, from trouble, which is raised."""
    if error == errno.ESRCH:
        raise ProcessGone(f"process {pid} is gone")
    if error != errno.EBADF:
        raise Unavailable(f"descriptor {number} of process {pid} cannot be looked at: {os.strerror(error)}")
