"""A unit's own lines in systemd's journal.

Law: only what the unit wrote to its standard output or error (_TRANSPORT=stdout)
and what does not come from a container.  With Docker's journald log driver a
container's lines carry the daemon's unit and name too; they would be believed.

Reading waits for the disk: it belongs on a thread of its own, and always the same.
"""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional

from watchdog.errors import Unavailable
from watchdog.host.logfile import readable

_MOST_ENTRIES = 1000  # of one read
_FILES_CHANGED = 2  # SD_JOURNAL_INVALIDATE
_OF_CONTAINERS = ("CONTAINER_ID", "CONTAINER_NAME", "CONTAINER_ID_FULL")


class Journal:
    """The lines of one unit; without a cursor those that come from now on.

    `directory`: another journal than this machine's.
    """

    def __init__(self, unit: str, cursor: str = "", directory: Optional[str] = None) -> None:
        self.skipped_bytes = 0  # a journal is read to its end
        self._unit = unit
        self._cursor = cursor
        self._directory = directory
        self._reader: Any = None
        self._first: Optional[Mapping[str, Any]] = None  # read while looking for the cursor's place
        self._is_new = False  # there was no line of the unit when we began: all of them are to be told

    def read(self) -> List[str]:
        """The lines that have come.  Raises Unavailable where there is no journal to read.

        When files have come or gone there are none, and the next read opens them
        anew: an open reader loses lines over a rotation now and then.
        """
        try:
            if self._reader is None:
                self._reader = self._open()
            if self._reader.wait(0) == _FILES_CHANGED:
                self.close()
                return []
            return [line for entry in self._entries() for line in _lines(entry)]
        except OSError as error:
            self.close()
            raise Unavailable(f"the journal cannot be read: {error.strerror}") from error

    def cursor(self) -> str:
        """Where to go on after a restart of ours; storing it is up to the caller."""
        return self._cursor

    def close(self) -> None:
        """Let go of the journal's files; `read` goes on where this one ended."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> Any:
        try:
            from systemd import journal
        except ImportError:
            raise Unavailable("the journal cannot be read: install python3-systemd") from None
        reader = journal.Reader(path=self._directory, converters={"MESSAGE": bytes})
        if self._directory is None and not (reader.has_runtime_files() or reader.has_persistent_files()):
            reader.close()
            raise Unavailable("this machine has no journal: name the runtime's log file instead")
        reader.wait(0)  # from here on it notices files that come and go
        reader.add_match(_SYSTEMD_UNIT=self._unit)
        reader.add_match(_TRANSPORT="stdout")
        self._go_to_place(reader)
        return reader

    def _go_to_place(self, reader: Any) -> None:
        """Behind the cursor's entry, or behind the last one of all."""
        if self._cursor and _seek(reader, self._cursor):
            entry = reader.get_next()
            if entry and entry["__CURSOR"] != self._cursor:
                self._first = entry  # that entry is no more; this one came after it
            return
        reader.seek_tail()
        last = reader.get_previous()
        if last and not self._is_new:
            self._cursor = last["__CURSOR"]
        else:
            self._is_new = True
            reader.seek_head()

    def _entries(self) -> Iterator[Mapping[str, Any]]:
        for _ in range(_MOST_ENTRIES):
            entry, self._first = self._first or self._reader.get_next(), None
            if not entry:
                return
            self._cursor = entry["__CURSOR"]
            yield entry


def _lines(entry: Mapping[str, Any]) -> List[str]:
    """The lines of an entry that the unit itself has written."""
    if any(field in entry for field in _OF_CONTAINERS):
        return []
    message = entry.get("MESSAGE", b"")
    text = message[-1] if isinstance(message, list) else message
    return [readable(line) for line in text.split(b"\n") if line]


def _seek(reader: Any, cursor: str) -> bool:
    try:
        reader.seek_cursor(cursor)
    except (OSError, ValueError):
        return False  # damaged: as if there were none
    return True
