"""What a guest tells, line by line, and how that is counted and shown.

A line is `passed|failed|skipped SECONDS TITLE`, `| ...` for what belongs to the
one before, or `end` when everything was said.
"""

from __future__ import annotations

import collections
from typing import Iterable, Iterator

OUTCOMES = ("passed", "failed", "skipped")
END = "end"


class Tally:
    """Counts the checks of all guests."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()

    def follow(self, suite: str, lines: Iterable[str]) -> Iterator[str]:
        """One line for people for each check; a guest that did not come to its end has failed."""
        ended = False
        for line in lines:
            outcome, _, rest = line.partition(" ")
            if outcome in OUTCOMES:
                seconds, _, title = rest.partition(" ")
                yield self._line(outcome, suite, title, seconds)
            elif line.startswith("|"):
                yield f"    {line}"
            ended = ended or line == END
        if not ended:
            yield self._line("failed", suite, "the guest comes to the end of its checks", "?")

    def _line(self, outcome: str, suite: str, title: str, seconds: str) -> str:
        self.counts[outcome] += 1
        return f"{outcome:8}{suite:10}{title}  ({seconds} s)"

    def closing_line(self) -> str:
        """`N passed, N failed`, and the skipped if there are any."""
        skipped = f", {self.counts['skipped']} skipped" if self.counts["skipped"] else ""
        return f"{self.counts['passed']} passed, {self.counts['failed']} failed{skipped}"

    @property
    def good(self) -> bool:
        return self.counts["passed"] > 0 and not self.counts["failed"]
