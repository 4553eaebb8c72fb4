"""Real lines, labelled by people: how many are read as they were.  Skipped where the corpus is not at hand.

The corpus is a file of JSON objects with `line`, `symptom` and `also` (labels
that are right, too); PULL_WATCHDOG_CORPUS names it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Counter as CounterType
from typing import List, Tuple

import pytest

from watchdog.core.symptom import classify

BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "loglines.jsonl"
CORPUS = Path(os.environ.get("PULL_WATCHDOG_CORPUS") or BESIDE_THE_CHECKOUT)

BAR_RIGHT = 0.95
BAR_NONE = 0.97  # of the harmless lines that are left alone
BAR_ONE_SYMPTOM = 0.75
ENOUGH_LINES = 4

pytestmark = pytest.mark.skipif(not CORPUS.is_file(), reason=f"no corpus at {CORPUS} (PULL_WATCHDOG_CORPUS)")


@dataclass(frozen=True)
class Read:
    """A line of the corpus, and what it was taken for."""

    line: str
    label: str
    taken_for: str
    is_right: bool


@pytest.fixture(scope="module")
def lines() -> List[Read]:
    rows = [json.loads(row) for row in CORPUS.read_text(encoding="utf-8").splitlines()]
    return [_read(row) for row in rows if not row["source"].startswith("template:")]


def _read(row) -> Read:
    taken_for = classify(row["line"]).kind.value
    return Read(row["line"], row["symptom"], taken_for, taken_for in (row["symptom"], *row.get("also", ())))


def test_most_lines_are_read_as_people_read_them(lines):
    show(lines)
    assert share(lines) >= BAR_RIGHT


def test_harmless_lines_are_left_alone(lines):
    assert share([read for read in lines if read.label == "none"]) >= BAR_NONE


def test_no_symptom_is_read_badly(lines):
    counts = Counter(read.label for read in lines)
    shares = {label: share([read for read in lines if read.label == label]) for label in counts}
    assert not {
        label: ratio
        for label, ratio in shares.items()
        if counts[label] >= ENOUGH_LINES and ratio < BAR_ONE_SYMPTOM
    }


def share(lines: List[Read]) -> float:
    return sum(read.is_right for read in lines) / len(lines)


def show(lines: List[Read]) -> None:
    """The confusion table: a row a label, and in it what its lines were taken for."""
    taken: CounterType[Tuple[str, str]] = Counter(
        (read.label, read.label if read.is_right else read.taken_for) for read in lines
    )
    print(f"\n{len(lines)} lines, {share(lines):.1%} right")
    for label in sorted({read.label for read in lines}):
        row = {other: count for (mine, other), count in sorted(taken.items()) if mine == label}
        right, wrong = row.pop(label, 0), ", ".join(f"{other} {count}" for other, count in row.items())
        print(f"  {label:18} {right:4}  {'taken for ' + wrong if wrong else ''}".rstrip())
    for read in lines:
        if not read.is_right:
            print(f"  {read.label} taken for {read.taken_for}: {read.line[:160]!r}")
