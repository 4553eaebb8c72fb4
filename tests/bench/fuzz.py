"""Texts that no product writes, near to those that they do, for as long as one likes.

    ./dev bench fuzz                          a minute
    PULL_WATCHDOG_FUZZ_S=900 ./dev bench fuzz

What is found is kept as an @example in the test of its law (tests/core/test_symptom_laws.py
and its neighbours), which run a few hundred texts each at every `./dev test`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from typing import Callable, List, Tuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.core.test_symptom_laws import near_lines, pieces, rubbish
from watchdog.cli.explain import _as_json
from watchdog.cli.log_input import LogInput
from watchdog.cli.log_lines import LogLines
from watchdog.cli.story_text import story_lines
from watchdog.cli.text import Style
from watchdog.core.observation import Frame, LogLine, MachineSeen
from watchdog.core.redaction import redact
from watchdog.core.reference import asked_for, parse_reference
from watchdog.core.story import Story
from watchdog.core.symptom import LogClock, SymptomKind, classify, parse
from watchdog.core.symptoms.sieve import is_worth_reading, worth_reading
from watchdog.core.told import KEPT
from watchdog.core.world import World
from watchdog.host.logfile import LineSplitter

SECONDS = float(os.environ.get("PULL_WATCHDOG_FUZZ_S", "60"))
ROUND = 300  # texts of one law before the next one has its turn
LONG_CHARS = 60_000
LONG_MOST_S = 1.0
STUCK_S = 20.0

_CLOCK = LogClock(1_700_000_000 * 10**9)
_any_line = st.one_of(near_lines, rubbish)
_lines = st.lists(_any_line.map(lambda line: line.replace("\n", " ")), max_size=12)


def any_line_has_a_symptom(line: str) -> None:
    symptom = classify(line, _CLOCK)
    assert symptom == classify(line, _CLOCK)
    assert json.loads(_as_json(symptom))["symptom"] == symptom.kind.value
    assert len(parse(line).text) <= 4 * len(line) + 4


def a_long_line_takes_no_longer_than_its_length(parts: Tuple[str, str, str]) -> None:
    before, piece, after = parts
    line = before + (piece * LONG_CHARS)[:LONG_CHARS] + after
    began = time.process_time()
    classify(line, _CLOCK)
    redact(line[:8192])
    took_s = time.process_time() - began
    assert took_s < LONG_MOST_S, f"{took_s:.1f} s for {before[-80:]!r}, {piece[:80]!r} and {after[:80]!r}"


def any_log_has_a_story(lines: List[str]) -> None:
    story = Story()
    for number, line in enumerate(lines, start=1):
        symptom = classify(line, _CLOCK)
        if symptom.kind is not SymptomKind.NONE or symptom.detail:
            story.add(number, line, symptom)
    for text in story_lines(story.told(), [], len(lines), Style(False)):
        assert "\x1b" not in text


def a_log_says_the_same_however_it_is_cut(parts: Tuple[List[str], int]) -> None:
    lines, size = parts
    content = "\n".join(lines).encode("utf-8", "replace")
    whole, cut = _said(content, len(content) + 1), _said(content, size)
    assert whole == cut


def _said(content: bytes, size: int) -> List[Tuple[int, str, SymptomKind]]:
    places = iter(range(0, len(content), size))

    def read(_: int) -> bytes:
        at = next(places, None)
        return b"" if at is None else content[at : at + size]

    said = LogLines(LogInput("fuzz", read, _CLOCK.newest_ns))
    return [(one.number, one.text, one.symptom.kind) for one in said]


def a_block_gives_up_its_lines_one_by_one(lines: List[str]) -> None:
    worth = worth_reading(lines, "/images/create?")
    assert [line for line in lines if is_worth_reading(line) and line not in worth] == []


def a_followed_log_comes_in_whole_lines(parts: Tuple[List[str], int]) -> None:
    lines, size = parts
    content = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
    whole, splitter = LineSplitter().feed(content), LineSplitter()
    assert [
        one for at in range(0, len(content), size) for one in splitter.feed(content[at : at + size])
    ] == whole
    assert all(line.isprintable() or "\t" in line for line in whole)


def what_is_told_is_bounded(lines: List[str]) -> None:
    world = World()
    machine = MachineSeen("boot", _CLOCK.newest_ns, 10**12)
    for _ in range(30):
        world.apply(Frame(10**12, (machine, *(LogLine("docker", line) for line in lines))))
    assert all(len(kept) <= KEPT for kept in world.told.values())
    assert all(one.at_ns <= 10**12 for kept in world.told.values() for one in kept)


def hiding_is_done_once(line: str) -> None:
    hidden = redact(line)
    assert redact(hidden) == hidden


def a_reference_is_its_own_normal_form(text: str) -> None:
    asked_for(text)
    reference = parse_reference(text)
    assert reference is None or parse_reference(str(reference)) == reference


_cut = st.tuples(_lines, st.integers(1, 64))
_short = st.text(alphabet="abc019.:/@-_[]A", max_size=24)
LAWS: Tuple[Tuple[Callable[..., None], st.SearchStrategy], ...] = (
    (any_line_has_a_symptom, _any_line),
    (a_long_line_takes_no_longer_than_its_length, st.tuples(near_lines, pieces, near_lines)),
    (any_log_has_a_story, _lines),
    (a_log_says_the_same_however_it_is_cut, _cut),
    (a_block_gives_up_its_lines_one_by_one, _lines),
    (a_followed_log_comes_in_whole_lines, _cut),
    (what_is_told_is_bounded, _lines),
    (hiding_is_done_once, _any_line),
    (a_reference_is_its_own_normal_form, st.one_of(_short, _any_line)),
)


def _stuck(number: int, frame: object) -> None:
    """A regular expression can go on for ever, but lets signals through."""
    raise AssertionError(f"not back after {STUCK_S:.0f} s")


def main(seconds: float = SECONDS) -> bool:
    """Print how many texts were tried and what was found; True when nothing was."""
    signal.signal(signal.SIGALRM, _stuck)
    tried, found, ends_at = 0, set(), time.monotonic() + seconds
    while time.monotonic() < ends_at:
        for law, texts in LAWS:
            if law.__name__ in found or time.monotonic() > ends_at:
                continue
            try:
                tried += _round(law, texts)
            except Exception as error:
                found.add(law.__name__)
                print(f"{law.__name__}: {error!r}", *getattr(error, "__notes__", ()), sep="\n  ", flush=True)
    print(f"fuzz: {tried:,} texts for {len(LAWS)} laws in {seconds:.0f} s; broken: {sorted(found) or 'none'}")
    return not found


def _round(law: Callable[..., None], texts: st.SearchStrategy) -> int:
    count = 0

    def counted(text: object) -> None:
        nonlocal count
        count += 1
        signal.setitimer(signal.ITIMER_REAL, STUCK_S)
        try:
            law(text)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    checked = settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # what is slow would be shrunk for minutes
        suppress_health_check=list(HealthCheck),
    )(seed(random.getrandbits(64))(given(texts)(counted)))
    checked()
    return count


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
