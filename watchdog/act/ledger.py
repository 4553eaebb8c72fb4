"""The ledger: what was done to this machine, on disk, before it is done and after.

Law: no ledger, no action.  A line is on the disk (fsync) before `append`
returns.  A last line without its end was never acknowledged, so nothing rests
on it: it is taken when it is whole and passed over when it is torn.  Anything
else that is not a line of ours stops all action, with file and line, and the
file stays as it is for a person to look at.

The file is STATE_DIR/ledger.jsonl: a header, then one LedgerEntry a line.
Writers take turns by STATE_DIR/ledger.lock; readers need no lock, because
lines are only added at the end and a shortened ledger replaces the old one in
one step.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, List, Sequence, Set, Tuple

from watchdog.act.lock import flock_within
from watchdog.act.own_file import open_own
from watchdog.core.codec import from_plain, to_plain
from watchdog.core.history import History
from watchdog.core.observation import LedgerEntry, LedgerSeen
from watchdog.errors import LedgerError, RecordingError, Refused

_HEADER = {"format": "pull-watchdog ledger", "version": 1}
_WRITERS_WAIT_S = 5.0

# A line is about 400 bytes, so this is some 10,000 of them; budgets allow tens a day.
SHORTEN_BYTES = 4 * 1024 * 1024
# Reading more than this would cost a small host dear; we never write so much.
READ_MAX_BYTES = 16 * 1024 * 1024
# Longer than any budget's default window, and this many are kept however old they
# are, so that a clock that jumps ahead does not wipe out the budgets.
KEEP_NS = 30 * 24 * 3600 * 1_000_000_000
KEEP_NEWEST = 1000


class Ledger:
    """The ledger of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "ledger.jsonl"
        self._lock_path = state_dir / "ledger.lock"

    def read(self) -> Tuple[LedgerEntry, ...]:
        """All entries, oldest first.  Raises LedgerError."""
        whole, torn = _split(self._content())
        lines = [*whole, torn] if _is_json(torn) else whole
        if not lines:
            return ()
        self._check_header(lines[0])
        return tuple(self._entry(number, line) for number, line in enumerate(lines[1:], start=2))

    def look(self) -> LedgerSeen:
        """The ledger as an observation; one that cannot be used says why."""
        try:
            return LedgerSeen(usable=True, entries=self.read())
        except LedgerError as error:
            return LedgerSeen(usable=False, detail=str(error))

    def append(self, entry: LedgerEntry) -> None:
        """Write one entry; it is on the disk when this returns.  Raises LedgerError."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._turn():
                entries = self.read()  # never write behind something that cannot be read
                self._shorten(entries, entry.wall_ns)
                self._write(_line(entry))
        except OSError as error:
            raise LedgerError(
                f"{self.path} cannot be written: {error.strerror}; no action without it"
            ) from error

    def _content(self) -> bytes:
        try:
            with os.fdopen(open_own(self.path, os.O_RDONLY), "rb") as file:
                content = file.read(READ_MAX_BYTES + 1)
        except FileNotFoundError:
            return b""
        except Refused as error:  # others may write beside it, the agent among them; they do not write it
            raise LedgerError(f"the ledger cannot be read: {error}; no action without it") from None
        except OSError as error:
            raise LedgerError(
                f"{self.path} cannot be read: {error.strerror}; no action without it"
            ) from error
        if len(content) > READ_MAX_BYTES:
            raise LedgerError(
                f"{self.path} is larger than {READ_MAX_BYTES} bytes; move it aside to start anew"
            )
        return content

    def _check_header(self, line: bytes) -> None:
        try:
            header = json.loads(line)
        except ValueError:
            header = None
        if header != _HEADER:
            raise LedgerError(
                f"{self.path}:1: not the header of a ledger that this version writes; "
                "no action until the file is moved aside"
            )

    def _entry(self, number: int, line: bytes) -> LedgerEntry:
        try:
            entry: LedgerEntry = from_plain(LedgerEntry, json.loads(line))
            return entry
        except (ValueError, RecordingError) as error:
            raise LedgerError(
                f"{self.path}:{number}: not a ledger entry ({error}); no action until a person has "
                "kept a copy of the file and removed that line"
            ) from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One writer at a time."""
        fd = open_own(self._lock_path, os.O_RDWR | os.O_CREAT)
        try:
            if not flock_within(fd, _WRITERS_WAIT_S):
                raise LedgerError(f"{self._lock_path} is held by another process for {_WRITERS_WAIT_S:.0f} s")
            yield
        finally:
            os.close(fd)

    def _write(self, line: bytes) -> None:
        is_new = not self.path.exists()
        fd = open_own(self.path, os.O_RDWR | os.O_CREAT)
        try:
            end = self._mend(fd)
            try:
                _write_all(fd, line, end)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, end)  # a full disk leaves no half line behind
                raise
        finally:
            os.close(fd)
        if is_new:
            _sync_directory(self.path.parent)

    def _mend(self, fd: int) -> int:
        """Complete or cut off a torn last line, and give a new file its header; returns its length."""
        content = self._content()
        whole, torn = _split(content)
        end = len(content) - len(torn)
        if _is_json(torn):
            end = _write_all(fd, b"\n", len(content))
        elif torn:
            os.ftruncate(fd, end)
        if not whole and end == 0:
            end = _write_all(fd, _header_line(), 0)
        return end

    def _shorten(self, entries: Sequence[LedgerEntry], now_wall_ns: int) -> None:
        """Replace a long ledger by what budgets, reverts and unfinished actions need."""
        if not entries or self.path.stat().st_size <= SHORTEN_BYTES:
            return
        replacement = self.path.with_suffix(".new")
        with suppress(FileNotFoundError):
            replacement.unlink()
        with os.fdopen(open_own(replacement, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(_header_line() + b"".join(_line(one) for one in kept(entries, now_wall_ns)))
            file.flush()
            os.fsync(file.fileno())
        replacement.replace(self.path)
        _sync_directory(self.path.parent)


def kept(entries: Sequence[LedgerEntry], now_wall_ns: int) -> List[LedgerEntry]:
    """What a shortened ledger still has to know, oldest first.

    Recent actions for the budgets, unfinished ones because nobody knows yet
    whether they took effect, and lasting changes until they are undone.
    """
    recent = {one.action for one in entries if now_wall_ns - one.wall_ns <= KEEP_NS}
    newest = {one.action for one in entries[-KEEP_NEWEST:]}
    open_actions = {one.action for one in (*unfinished(entries), *in_force(entries))}
    wanted: Set[str] = recent | newest | open_actions
    return [one for one in entries if one.action in wanted]


def unfinished(entries: Sequence[LedgerEntry]) -> List[LedgerEntry]:
    """The intents that have no result: the process that wrote them was ended in between."""
    ended = {one.action for one in entries if one.phase == "result"}
    return [one for one in entries if one.phase == "intent" and one.action not in ended]


def in_force(entries: Sequence[LedgerEntry]) -> List[LedgerEntry]:
    """The intents of lasting changes that may have been made and are not undone."""
    return History(tuple(entries), now_wall_ns=0).lasting()


def _split(content: bytes) -> Tuple[List[bytes], bytes]:
    """The lines that have their end, and what follows the last of them."""
    head, end, tail = content.rpartition(b"\n")
    return (head.split(b"\n") if end else []), tail


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _line(entry: LedgerEntry) -> bytes:
    return json.dumps(to_plain(entry), separators=(",", ":")).encode() + b"\n"


def _header_line() -> bytes:
    return json.dumps(_HEADER).encode() + b"\n"


def _write_all(fd: int, content: bytes, offset: int) -> int:
    """Write everything at `offset`; returns the offset behind it."""
    while content:
        written = os.pwrite(fd, content, offset)
        content, offset = content[written:], offset + written
    return offset


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
