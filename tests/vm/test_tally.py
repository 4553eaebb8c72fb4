"""What guests tell becomes lines, a table and a verdict."""

from __future__ import annotations

from typing import List

from tests.vm.tally import Tally

TOLD = ["passed 61.5 it works", "| with a word more", "skipped 0.0 it is here"]


def take(tally: Tally, suite: str, lines: List[str]) -> List[str]:
    """All of what a guest says, and what people read of it."""
    return [said for said in (tally.take(suite, line) for line in (*lines, None)) if said]


def test_every_check_is_a_line_and_a_cell() -> None:
    tally = Tally()
    said = take(tally, "bookworm", [*TOLD, "end"])
    said += take(tally, "trixie", ["failed 3.0 it works", "end"])
    assert said[0].split() == ["passed", "bookworm", "it", "works", "(61.5", "s)"]
    assert said[1].split() == ["bookworm", "|", "with", "a", "word", "more"]
    assert list(tally.table()) == [
        "| what was checked | bookworm | trixie |",
        "|---|---|---|",
        "| it works | 61.5 s | failed |",
        "| it is here | - |  |",
        "| all of it | 1 min | 0 min |",
    ]
    assert tally.closing_line() == "1 passed, 1 failed, 1 skipped"
    assert not tally.good


def test_a_guest_that_breaks_off_has_failed() -> None:
    tally = Tally()
    assert "comes to the end" in take(tally, "bookworm", TOLD)[-1]
    assert not tally.good


def test_a_guest_that_says_nothing_bad_to_its_end_has_passed() -> None:
    tally = Tally()
    take(tally, "bookworm", [*TOLD, "end"])
    assert tally.good


def test_nothing_at_all_is_no_success() -> None:
    tally = Tally()
    take(tally, "bookworm", ["end"])
    assert not tally.good
