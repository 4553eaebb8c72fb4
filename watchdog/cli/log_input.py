"""A log as blocks of whole lines, whatever it is that the user named.

Law: bounded memory, no endless wait, and a clear sentence for everything that
is no log: a directory, a device, a compressed file, a FIFO that nobody writes.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, Iterator, Optional

from watchdog.errors import ConfigError

BLOCK_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 16  # what is longer is no message: its beginning is kept
FIFO_WITHIN_S = 10.0

_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\))")
_FORMATS = (  # the first bytes of what has to be unpacked first
    (b"\x1f\x8b", "is compressed with gzip: zcat {path} | pull-watchdog explain -"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: zstdcat {path} | pull-watchdog explain -"),
    (b"\xfd7zXZ\x00", "is compressed with xz: xzcat {path} | pull-watchdog explain -"),
    (b"BZh", "is compressed with bzip2: bzcat {path} | pull-watchdog explain -"),
    (b"LPKSHHRH", "is a journal: journalctl --file {path} | pull-watchdog explain -"),
    (b"PK\x03\x04", "is a zip archive: unzip -p {path} | pull-watchdog explain -"),
    (b"\xff\xfe", "is UTF-16: iconv -f utf-16 -t utf-8 {path} | pull-watchdog explain -"),
    (b"\xfe\xff", "is UTF-16: iconv -f utf-16 -t utf-8 {path} | pull-watchdog explain -"),
)

Read = Callable[[int], bytes]


@dataclass(frozen=True)
class LogInput:
    """An open log.  `changed_ns`: no line of it is much later than this (wall clock)."""

    name: str
    read: Read
    changed_ns: int


@contextmanager
def opened(path: str, fifo_within_s: float = FIFO_WITHIN_S) -> Iterator[LogInput]:
    """The log at `path`, "-" for standard input.  Raises ConfigError with a sentence."""
    if path == "-":
        yield LogInput("standard input", lambda size: os.read(sys.stdin.fileno(), size), time.time_ns())
        return
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        _refuse_what_is_no_log(path, status.st_mode)
        fifo = stat.S_ISFIFO(status.st_mode)
        if fifo:
            _wait_for_a_writer(path, descriptor, fifo_within_s)
        os.set_blocking(descriptor, True)
        changed_ns = time.time_ns() if fifo else status.st_mtime_ns
        yield LogInput(path, lambda size: os.read(descriptor, size), changed_ns)
    finally:
        os.close(descriptor)


def blocks(log: LogInput) -> Iterator[bytes]:
    """Blocks of whole lines; a half line at the end is ended.  Colours are taken out."""
    first = True
    for block in _whole_lines(log.read):
        if first:
            _refuse_formats(log.name, block)
            first = False
        yield _ANSI.sub(b"", block) if b"\x1b" in block else block


def looks_like_text(block: bytes) -> bool:
    """Whether a log's first block is text; holes of zeros from a rotation are no text either."""
    sample = block[:4096]
    odd = sum(1 for byte in sample if byte < 9 or 13 < byte < 27 or 27 < byte < 32)
    return odd * 20 <= len(sample)


def _open(path: str) -> int:
    try:
        # O_NONBLOCK: a FIFO without a writer must not hold us here.
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _refuse_what_is_no_log(path: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ConfigError(f"{path} is a directory: name a log in it")
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise ConfigError(
            f"{path} is a device and has no end: pipe what you want into pull-watchdog explain -"
        )
    if stat.S_ISSOCK(mode):
        raise ConfigError(f"{path} is a socket, not a log")


def _wait_for_a_writer(path: str, descriptor: int, within_s: float) -> None:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    if not poller.poll(within_s * 1000):
        raise ConfigError(f"{path} is a FIFO, and nobody has written to it in {within_s:.0f} s")


def _refuse_formats(name: str, block: bytes) -> None:
    for magic, sentence in _FORMATS:
        if block.startswith(magic):
            raise ConfigError(f"{name} {sentence.format(path=name)}")


def _whole_lines(read: Read) -> Iterator[bytes]:
    """Cuts the stream at line ends.  Of an endless line the beginning is kept, the rest skipped."""
    rest, skipping = b"", False
    while True:
        chunk: Optional[bytes] = read(BLOCK_BYTES)
        if not chunk:
            break
        if skipping:
            line_end = chunk.find(b"\n")
            if line_end < 0:
                continue
            chunk, skipping = chunk[line_end + 1 :], False
        block = rest + chunk
        cut = block.rfind(b"\n") + 1
        rest = block[cut:]
        if cut:
            yield block[:cut]
        if len(rest) > MAX_LINE_BYTES:
            yield rest[:MAX_LINE_BYTES] + b"\n"
            rest, skipping = b"", True
    if rest:
        yield rest + b"\n"
