"""The journal as a place for log lines with fields of their own.

Optional: without python3-systemd, or where stderr does not lead to the journal,
there is none and lines are written as text.
"""

from __future__ import annotations

import os
from typing import Any, Optional, TextIO

from watchdog.report.writer import Writer

_IDENTIFIER = "pull-watchdog"


class JournalSink:
    """What structlog calls a logger; each method's name is a level."""

    def __init__(self, journal: Any, writer: Writer) -> None:
        self._journal = journal
        self._writer = writer

    def _send(self, priority: int, fields: Any) -> None:
        self._writer.submit(
            lambda: self._journal.send(
                fields.pop("MESSAGE"), PRIORITY=priority, SYSLOG_IDENTIFIER=_IDENTIFIER, **fields
            )
        )

    def debug(self, **fields: Any) -> None:
        """LOG_DEBUG."""
        self._send(7, fields)

    def info(self, **fields: Any) -> None:
        """LOG_INFO."""
        self._send(6, fields)

    def warning(self, **fields: Any) -> None:
        """LOG_WARNING."""
        self._send(4, fields)

    def error(self, **fields: Any) -> None:
        """LOG_ERR."""
        self._send(3, fields)


def journal_sink(stream: TextIO, writer: Writer) -> Optional[JournalSink]:
    """A sink into the journal if `stream` leads there, as systemd.exec(5) says how to tell."""
    if not _leads_to_journal(stream):
        return None
    try:
        from systemd import journal
    except ImportError:
        return None
    return JournalSink(journal, writer)


def _leads_to_journal(stream: TextIO) -> bool:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
