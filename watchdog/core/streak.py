"""For how many looks in a row the same was found of the same process.

Law: a wait counts looks that agree.  A decompressor that has long waited for
its input, and has only now been given some, is not hung since long ago.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterable, List, Optional

from watchdog.core.causes.finding import HUNG_DECOMPRESSOR, Cause, Finding
from watchdog.core.observation import ProcessKey


@dataclass(frozen=True)
class Streak:
    """The looks that agreed, and when the first of them was."""

    kind: str
    since_ns: int
    looks: int = 1


class Streaks:
    """The streak of every process that the newest scan of its runtime found something of."""

    def __init__(self) -> None:
        self._by_runtime: Dict[str, Dict[ProcessKey, Streak]] = {}

    def count(self, runtime: str, findings: Iterable[Finding], now_ns: int) -> List[Finding]:
        """The findings of one scan, each with no more samples than the looks that agreed on it."""
        known, found = self._by_runtime.get(runtime, {}), list(findings)
        now = {one.culprit.key: _continued(known.get(one.culprit.key), one, now_ns) for one in found}
        self._by_runtime[runtime] = now
        return [_at_most(one, now[one.culprit.key]) for one in found]


def _at_most(finding: Finding, streak: Streak) -> Finding:
    if streak.looks >= finding.samples:
        return finding
    return replace(
        finding, samples=streak.looks, since_ns=streak.since_ns
    )  # it stood still for another reason


def _continued(last: Optional[Streak], finding: Finding, now_ns: int) -> Streak:
    kind = _kind(finding.cause)
    if last is None or last.kind != kind:
        return Streak(kind, now_ns)
    return replace(last, looks=last.looks + 1)


def _kind(cause: Cause) -> str:
    """A process that now spins and now sleeps is hung all the time."""
    return "decompressor_hung" if cause in HUNG_DECOMPRESSOR else cause.value
