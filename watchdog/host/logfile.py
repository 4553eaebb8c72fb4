"""A log file followed line by line, through both ways of rotation and our own restarts.

Law: no line twice, and none lost that is still on the disk.  What a file is, its
first bytes say and not its name: after a rename or a copy with truncation the
rest of the old file is looked for among its neighbours.  Lines and reads
are bounded.  Reading waits for the disk: it belongs on a thread of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import List, Optional

from watchdog.errors import Unavailable

_MOST_LINE_BYTES = 8192
_MOST_READ_BYTES = 256 * 1024
_MOST_BEHIND_BYTES = 16 << 20
_MOST_HEAD_BYTES = 256
_MOST_NEIGHBOURS = 32
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst")


@dataclass(frozen=True)
class Cursor:
    """A place in a file, which is known by its beginning.

    `head`: SHA-256 of its first `head_bytes`.  `offset`: where the next line begins.
    """

    head_bytes: int
    head: str
    offset: int


def parse_cursor(text: str) -> Optional[Cursor]:
    """A stored cursor; None when there is none or it is damaged."""
    try:
        fields = json.loads(text)
        return Cursor(int(fields["head_bytes"]), str(fields["head"]), int(fields["offset"]))
    except (ValueError, TypeError, KeyError):
        return None


class LineSplitter:
    """Bytes in, whole lines out; a line that is too long is cut."""

    def __init__(self, in_mid_line: bool = False) -> None:
        self.rest = b""  # the beginning of a line whose end is not there yet
        self.skips = in_mid_line  # until the next line begins

    def feed(self, text: bytes) -> List[str]:
        """The lines that end in this text, without their ends."""
        *ended, rest = (self.rest + text).split(b"\n")
        if self.skips and ended:
            ended, self.skips = ended[1:], False
        lines = [readable(line) for line in ended if line]
        self.rest = b"" if self.skips else rest
        if len(self.rest) > _MOST_LINE_BYTES:
            lines.append(readable(self.rest))
            self.rest, self.skips = b"", True
        return lines

    def finish(self) -> List[str]:
        """The last line of a file that will not grow any more."""
        rest, self.rest = self.rest, b""
        return [readable(rest)] if rest else []


def readable(line: bytes) -> str:
    """A line as text: bounded, and without what a terminal would act upon."""
    text = line[:_MOST_LINE_BYTES].strip(b"\0").rstrip(b"\r").decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


class LogFile:
    """One log.  Not for several threads at once.

    Without a cursor it begins with what is written from now on.
    """

    def __init__(self, path: Path, cursor: str = "") -> None:
        self._path = path
        self._cursor = parse_cursor(cursor)
        self._is_new = False  # a file that comes after we began to wait is read from its start
        self._file: Optional[_File] = None
        self.skipped_bytes = 0  # left out because we were too far behind

    def read(self) -> List[str]:
        """The lines that have come.  Raises Unavailable while there is no such file."""
        try:
            lines = self._begin() if self._file is None else []
            file = self._current()
            if file.was_truncated():
                lines += self._rest_of(file.cursor())
                file.restart()
            lines += self._take(file)
            if file.is_at_end() and self._was_replaced(file):
                lines += file.lines.finish()
                file.close()
                self._file = None
                lines += self._begin() + self._take(self._current())
            return lines
        except OSError as error:
            self.close()
            raise Unavailable(f"{self._path} cannot be read: {error.strerror}") from error

    def cursor(self) -> str:
        """Where to go on after a restart of ours; storing it is up to the caller."""
        cursor = self._file.cursor() if self._file is not None else self._cursor
        return json.dumps(asdict(cursor)) if cursor is not None else ""

    def close(self) -> None:
        """Let go of the file; `read` goes on where this one ended."""
        if self._file is not None:
            self._cursor = self._file.cursor()
            self._file.close()
            self._file = None

    def _current(self) -> _File:
        if self._file is None:
            raise FileNotFoundError(2, "it is not open")
        return self._file

    def _begin(self) -> List[str]:
        """Open the file at the right place; returns the lines of an older one that are still due."""
        cursor, is_new = self._cursor, self._is_new
        self._is_new = True
        file = self._file = _File(self._path)
        self._cursor = None
        if cursor is not None and file.fits(cursor):
            file.go_to(cursor.offset)
        elif cursor is not None:
            return self._rest_of(cursor)
        elif not is_new:
            file.go_to(file.size())
        return []

    def _take(self, file: _File) -> List[str]:
        behind = file.size() - file.offset
        if behind > _MOST_BEHIND_BYTES:
            self.skipped_bytes += behind - _MOST_BEHIND_BYTES
            file.go_to(file.size() - _MOST_BEHIND_BYTES)
        return file.take()

    def _take_all(self, file: _File) -> List[str]:
        lines = self._take(file)
        while not file.is_at_end():
            lines += file.take()
        return lines + file.lines.finish()

    def _was_replaced(self, file: _File) -> bool:
        """Whether the name belongs to another file by now.

        As long as that is empty the old one counts: a writer that was not told of
        a rename goes on writing there.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return False
        return status.st_size > 0 and not file.is_(status)

    def _rest_of(self, cursor: Cursor) -> List[str]:
        """What stands behind a cursor in a neighbour that begins like the file that it was of."""
        prefix = self._path.name
        names = [one.name for one in os.scandir(self._path.parent) if one.name.startswith(prefix)]
        for name in sorted(names)[:_MOST_NEIGHBOURS]:
            if name == prefix or name.endswith(_COMPRESSED):
                continue
            try:
                neighbour = _File(self._path.with_name(name))
            except OSError:
                continue
            try:
                if neighbour.fits(cursor):
                    neighbour.go_to(cursor.offset)
                    return self._take_all(neighbour)
            finally:
                neighbour.close()
        return []


class _File:
    """An open log at a place in it.  Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.close(self._descriptor)
            raise OSError(0, "it is no regular file")
        self._head = b""
        self.restart()

    def close(self) -> None:
        os.close(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def is_(self, status: os.stat_result) -> bool:
        mine = os.fstat(self._descriptor)
        return (mine.st_dev, mine.st_ino) == (status.st_dev, status.st_ino)

    def restart(self) -> None:
        """Go to the first byte."""
        self.offset = 0
        self.lines = LineSplitter()
        self._head = os.pread(self._descriptor, _MOST_HEAD_BYTES, 0)

    def go_to(self, offset: int) -> None:
        in_mid_line = offset > 0 and os.pread(self._descriptor, 1, offset - 1) != b"\n"
        self.offset = offset
        self.lines = LineSplitter(in_mid_line)

    def take(self) -> List[str]:
        """The lines of the next 256 KiB at most."""
        self._jump_over_hole()
        text = os.pread(self._descriptor, _MOST_READ_BYTES, self.offset)
        if len(self._head) < _MOST_HEAD_BYTES:
            self._head = os.pread(self._descriptor, _MOST_HEAD_BYTES, 0)
        self.offset += len(text)
        return self.lines.feed(text)

    def _jump_over_hole(self) -> None:
        """A writer that does not append leaves a hole below its place when the file is truncated."""
        try:
            self.offset = os.lseek(self._descriptor, self.offset, os.SEEK_DATA)
        except OSError:
            pass  # nothing but the end lies ahead

    def is_at_end(self) -> bool:
        return self.offset >= self.size()

    def was_truncated(self) -> bool:
        """Whether it was emptied since, however much was written to it after that."""
        return self.size() < self.offset or os.pread(self._descriptor, len(self._head), 0) != self._head

    def cursor(self) -> Cursor:
        return Cursor(len(self._head), _digest(self._head), self.offset - len(self.lines.rest))

    def fits(self, cursor: Cursor) -> bool:
        """Whether this is the file, or a copy of the file, that a cursor was of."""
        head = os.pread(self._descriptor, cursor.head_bytes, 0)
        return cursor.head_bytes > 0 and _digest(head) == cursor.head and cursor.offset <= self.size()


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()
