"""How long things took: named moments of one experiment and the seconds between them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.processes import wait_until

T = TypeVar("T")


class Timeline:
    """Moments by name, such as "hung", "confirmed", "recovered"."""

    def __init__(self) -> None:
        self._moments: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Now is the moment `name`; the first mark of a name counts."""
        self._moments.setdefault(name, time.monotonic())

    def mark_when(
        self, name: str, condition: Callable[[], T | None], deadline_s: float = 60.0, every_s: float = 0.1
    ) -> T:
        """Wait for a condition, mark the moment, return its answer.  Raises TimeoutError."""
        answer = wait_until(condition, name, deadline_s, every_s)
        self.mark(name)
        return answer

    def between(self, earlier: str, later: str) -> float:
        """Seconds from one moment to another."""
        return self._moments[later] - self._moments[earlier]

    def __str__(self) -> str:
        begin = min(self._moments.values(), default=0.0)
        return ", ".join(f"{name} {moment - begin:.1f} s" for name, moment in self._moments.items())
