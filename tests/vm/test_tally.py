"""What guests tell becomes lines, a table and a verdict."""

from __future__ import annotations

from tests.vm.tally import Tally

TOLD = ["passed 61.5 it works", "| with a word more", "skipped 0.0 it is here"]


def test_every_check_is_a_line_and_a_cell() -> None:
    tally = Tally()
    said = list(tally.follow("bookworm", [*TOLD, "end"]))
    said += tally.follow("trixie", ["failed 3.0 it works", "end"])
    assert said[0].split() == ["passed", "bookworm", "it", "works", "(61.5", "s)"]
    assert said[1] == "    | with a word more"
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
    assert "comes to the end" in list(tally.follow("bookworm", TOLD))[-1]
    assert not tally.good


def test_a_guest_that_says_nothing_bad_to_its_end_has_passed() -> None:
    tally = Tally()
    list(tally.follow("bookworm", [*TOLD, "end"]))
    assert tally.good


def test_nothing_at_all_is_no_success() -> None:
    tally = Tally()
    list(tally.follow("bookworm", ["end"]))
    assert not tally.good
