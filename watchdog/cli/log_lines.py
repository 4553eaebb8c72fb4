"""The lines of a log that say something, with their symptoms, and how many lie between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Iterator, List, Optional

from watchdog.cli.log_input import MAX_LINE_BYTES, LogInput, blocks
from watchdog.core.policy import SECOND_NS
from watchdog.core.symptom import LogClock, Symptom, classify_sifted, parse
from watchdog.core.symptoms.sieve import lines_worth_reading

_LAST_LINES = 50  # so many lines without a time at the end of a block, and it has none


@dataclass(frozen=True)
class SaidLine:
    """A line that the sieve held back.  `skipped`: lines before it that say nothing."""

    number: int
    skipped: int
    text: str
    symptom: Symptom


class LogLines:
    """Goes through one log.  `lines` and `last_ns` are known when it is through."""

    def __init__(self, log: LogInput, since_ns: Optional[int] = None, first_number: int = 1) -> None:
        self.clock = LogClock(log.changed_ns, _utc_offset_s(log.changed_ns))
        self.skipped_at_end = 0
        self.last_ns: Optional[int] = None
        self.first_block = b""
        self._log = log
        self._since_ns = since_ns
        self._first_number = self._number = first_number

    @property
    def lines(self) -> int:
        """How many lines there were up to here, those before `since` too."""
        return self._number - self._first_number

    def __iter__(self) -> Iterator[SaidLine]:
        unsaid = 0
        for block in self._recent_blocks():
            at = 0
            for start in lines_worth_reading(block):
                before = block.count(b"\n", at, start)
                self._number += before + 1
                end = block.find(b"\n", start)
                text = block[start : min(end, start + MAX_LINE_BYTES)].decode("utf-8", "replace")
                symptom = classify_sifted(text, self.clock)
                yield SaidLine(self._number - 1, unsaid + before, text, symptom)
                unsaid, at = 0, end + 1
            after = block.count(b"\n", at)
            self._number += after
            unsaid += after
        self.skipped_at_end = unsaid

    def _recent_blocks(self) -> Iterator[bytes]:
        """The blocks from the first line on that is not older than `since`."""
        waiting = self._since_ns is not None
        for whole in blocks(self._log):
            self.first_block = self.first_block or whole
            self.last_ns = self._last_time(whole) or self.last_ns
            block = self._from_since(whole) if waiting else whole
            if len(block) < len(whole):
                self._number += whole.count(b"\n", 0, len(whole) - len(block))
            if block:
                waiting = False
                yield block

    def _from_since(self, block: bytes) -> bytes:
        since_ns, at = self._since_ns or 0, 0
        if (self.last_ns or 0) < since_ns:
            return b""
        for line in block.splitlines(keepends=True):
            wall_ns = self._time_of(line)
            if wall_ns is not None and wall_ns >= since_ns:
                return block[at:]
            at += len(line)
        return b""

    def _last_time(self, block: bytes) -> Optional[int]:
        lines: List[bytes] = block[-_LAST_LINES * 1024 :].splitlines()[-_LAST_LINES:]
        times = (self._time_of(line) for line in reversed(lines))
        return next((wall_ns for wall_ns in times if wall_ns is not None), None)

    def _time_of(self, line: bytes) -> Optional[int]:
        return parse(line[:1024].decode("utf-8", "replace"), self.clock).wall_ns


def _utc_offset_s(wall_ns: int) -> int:
    """Seconds east of UTC of this host at that time: what logs without a zone mean."""
    return time.localtime(max(0, wall_ns) // SECOND_NS).tm_gmtoff
