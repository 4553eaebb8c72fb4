"""What a guest tells, line by line, and how that is counted, shown and put into a table.

A line is `passed|failed|skipped SECONDS TITLE`, `| ...` for what belongs to the
one before, or `end` when everything was said.
"""

from __future__ import annotations

import collections
import contextlib
from typing import Dict, Iterator, Optional, Set

OUTCOMES = ("passed", "failed", "skipped")
END = "end"


class Tally:
    """Counts the checks of all guests."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._cells: Dict[str, Dict[str, str]] = {}
        self._seconds: Dict[str, float] = {}
        self._ended: Set[str] = set()

    def take(self, suite: str, line: Optional[str]) -> str:
        """A line of a guest, for people; "" for what is not for them.

        None when it says no more: a guest that did not come to its end has failed.
        """
        if line is None:
            if suite in self._ended:
                return ""
            return self._line("failed", suite, "the guest comes to the end of its checks", "?")
        outcome, _, rest = line.partition(" ")
        if outcome in OUTCOMES:
            seconds, _, title = rest.partition(" ")
            return self._line(outcome, suite, title, seconds)
        if line == END:
            self._ended.add(suite)
        return f"{'':8}{suite:10}{line}" if line.startswith("|") else ""

    def _line(self, outcome: str, suite: str, title: str, seconds: str) -> str:
        self.counts[outcome] += 1
        cell = {"passed": f"{seconds} s", "skipped": "-"}.get(outcome, outcome)
        self._cells.setdefault(title, {})[suite] = cell
        with contextlib.suppress(ValueError):
            self._seconds[suite] = self._seconds.get(suite, 0.0) + float(seconds)
        return f"{outcome:8}{suite:10}{title}  ({seconds} s)"

    def table(self) -> Iterator[str]:
        """The table of the README: for each check and release how long it took, or that it failed."""
        suites = list(dict.fromkeys(suite for cells in self._cells.values() for suite in cells))
        yield f"| what was checked | {' | '.join(suites)} |"
        yield "|---" * (len(suites) + 1) + "|"
        for title, cells in self._cells.items():
            yield f"| {title} | {' | '.join(cells.get(suite, '') for suite in suites)} |"
        yield f"| all of it | {' | '.join(f'{self._seconds.get(one, 0.0) / 60:.0f} min' for one in suites)} |"

    def closing_line(self) -> str:
        """`N passed, N failed`, and the skipped if there are any."""
        skipped = f", {self.counts['skipped']} skipped" if self.counts["skipped"] else ""
        return f"{self.counts['passed']} passed, {self.counts['failed']} failed{skipped}"

    @property
    def good(self) -> bool:
        return self.counts["passed"] > 0 and not self.counts["failed"]
