"""Running other programs: the only place that does.

Law: nobody waits longer than the deadline.  A program that overruns it is
killed by its pidfd.  One that cannot die (state D) is reported as expired and
left behind, to be reaped whenever it ends.  What it prints is bounded.

A child gets a session of its own and none of our descriptors.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from watchdog.errors import Unavailable

# With vfork the whole agent would stand still while a child's exec waits for a dead disk.
subprocess._USE_VFORK = False  # type: ignore[attr-defined]

_MOST_OUTPUT_BYTES = 1 << 20
_GRACE_S = 1.0  # for a killed child to be gone
_PIECE_BYTES = 65536

_left_behind: List[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Completed:
    """How a program ended.

    `status`: its exit status, minus the number of the signal that ended it, or
    None when it was not seen to end.  `expired`: it overran its deadline.
    `stdout` and `stderr` are each cut at 1 MiB.
    """

    argv: Tuple[str, ...]
    status: Optional[int]
    stdout: bytes = b""
    stderr: bytes = b""
    expired: bool = False

    @property
    def succeeded(self) -> bool:
        return self.status == 0 and not self.expired


def run(
    argv: Sequence[str],
    deadline_s: float,
    stdin: bytes = b"",
    environment: Optional[Mapping[str, str]] = None,
) -> Completed:
    """Run a program to its end, or to its deadline.

    `environment` replaces ours when given.  Raises Unavailable when the
    program cannot be started.  Not for the agent's loop, because starting a
    program reads its file from a disk; `start` is.
    """
    ends_at = time.monotonic() + deadline_s
    child = _spawn(argv, stdin, environment)
    output = _Output(child)
    try:
        expired = not output.follow(ends_at)
        if expired:
            signal.pidfd_send_signal(output.pidfd, signal.SIGKILL)
            output.follow(time.monotonic() + _GRACE_S)
        status = _reap(child)
        return Completed(tuple(argv), status, output.stdout, output.stderr, expired)
    finally:
        output.close()


class Running:
    """A program that runs beside us.  `fileno` becomes readable when it has ended."""

    def __init__(self, work: Callable[[], Completed], argv: Sequence[str], deadline_s: float) -> None:
        self._argv = tuple(argv)
        self._given_up_at = time.monotonic() + deadline_s + 2 * _GRACE_S
        self._results: List[Completed] = []
        # Each side closes its own end: a thread that is late finds no descriptor of somebody else.
        self._ended, ending = os.pipe2(os.O_CLOEXEC)
        threading.Thread(target=self._attempt, args=(work, ending), name="command", daemon=True).start()

    def fileno(self) -> int:
        return self._ended

    def poll(self) -> Optional[Completed]:
        """Its result, or None while it runs.  Never waits and never raises.

        A program that could not be started has the reason in `stderr`.
        """
        if self._results:
            return self._results[0]
        if time.monotonic() > self._given_up_at:
            return Completed(self._argv, None, expired=True)
        return None

    def close(self) -> None:
        """Stop looking.  The program goes on until its deadline."""
        os.close(self._ended)

    def _attempt(self, work: Callable[[], Completed], ending: int) -> None:
        try:
            self._results.append(work())
        except Unavailable as error:
            self._results.append(Completed(self._argv, None, stderr=str(error).encode()))
        finally:
            os.close(ending)


def start(
    argv: Sequence[str],
    deadline_s: float,
    stdin: bytes = b"",
    environment: Optional[Mapping[str, str]] = None,
) -> Running:
    """Run a program on a thread of its own; for whoever must not wait at all."""
    return Running(lambda: run(argv, deadline_s, stdin, environment), argv, deadline_s)


class _Output:
    """What a child prints, and whether it has ended."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self.pidfd = os.pidfd_open(child.pid)
        self._text: Dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._open = set(self._text)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.pidfd, selectors.EVENT_READ, "end")
        for name in self._text:
            pipe = getattr(child, name)
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, name)

    @property
    def stdout(self) -> bytes:
        return bytes(self._text["stdout"])

    @property
    def stderr(self) -> bytes:
        return bytes(self._text["stderr"])

    def follow(self, ends_at: float) -> bool:
        """Take what it prints until it has ended (True) or time is up (False)."""
        while True:
            ready = self._selector.select(max(0.0, ends_at - time.monotonic()))
            # The end is looked at last: what was printed before it is in the pipes by then.
            for key, _ in ready:
                if key.data != "end":
                    self._take(key.data)
            if any(key.data == "end" for key, _ in ready):
                self._drain()
                return True
            if time.monotonic() >= ends_at:
                return False

    def close(self) -> None:
        self._selector.close()
        os.close(self.pidfd)
        for name in self._text:
            getattr(self._child, name).close()

    def _drain(self) -> None:
        """Take the rest; a grandchild that still prints is not waited for."""
        for name in tuple(self._open):
            for _ in range(_MOST_OUTPUT_BYTES // _PIECE_BYTES):
                if not self._take(name):
                    break

    def _take(self, name: str) -> bool:
        """Take one piece; False when there is none now."""
        pipe = getattr(self._child, name)
        try:
            piece = os.read(pipe.fileno(), _PIECE_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            self._selector.unregister(pipe)
            self._open.remove(name)
        room = _MOST_OUTPUT_BYTES - len(self._text[name])
        self._text[name] += piece[: max(0, room)]
        return bool(piece)


def _spawn(
    argv: Sequence[str], stdin: bytes, environment: Optional[Mapping[str, str]]
) -> subprocess.Popen[bytes]:
    _left_behind[:] = [child for child in _left_behind if child.poll() is None]
    source = os.memfd_create("stdin")  # takes any amount, where a pipe would make us wait
    try:
        os.write(source, stdin)
        os.lseek(source, 0, os.SEEK_SET)
        return subprocess.Popen(
            argv,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
            close_fds=True,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"{argv[0]} cannot be started: {error.strerror}") from error
    finally:
        os.close(source)


def _reap(child: subprocess.Popen[bytes]) -> Optional[int]:
    status = child.poll()
    if status is None:
        _left_behind.append(child)
    return status
