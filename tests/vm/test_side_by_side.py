"""Guests that run at once are all heard, and all ended."""

from __future__ import annotations

from typing import List

from tests.vm.side_by_side import Told, side_by_side


def guest(name: str, lines: List[str], seen: List[str]) -> Told:
    """Says its lines, and notes when it begins and ends."""
    seen.append(f"{name} begins")
    try:
        yield from lines
    finally:
        seen.append(f"{name} ends")


def test_each_is_heard_to_its_end_and_no_more_run_than_may() -> None:
    seen: List[str] = []
    guests = {name: guest(name, [f"{name}1", "", f"{name}2"], seen) for name in "abc"}
    said = list(side_by_side(guests, at_once=2))
    assert said == [
        *(("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")),
        *(("a", None), ("b", None), ("c", "c1"), ("c", "c2"), ("c", None)),
    ]
    assert seen == ["a begins", "b begins", "a ends", "b ends", "c begins", "c ends"]


def test_whoever_stops_listening_ends_them_all() -> None:
    seen: List[str] = []
    talk = side_by_side({name: guest(name, ["1", "2"], seen) for name in "ab"}, at_once=2)
    assert next(talk) == ("a", "1") and next(talk) == ("b", "1")
    talk.close()
    assert seen == ["a begins", "b begins", "a ends", "b ends"]
