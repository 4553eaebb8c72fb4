"""What holds for every rule and every line: the sieve loses nothing, the index decides nothing."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.core.test_symptom import HARMLESS, SHOWN
from watchdog.core.symptom import LogClock, Symptom, SymptomKind, classify, classify_sifted, parse
from watchdog.core.symptoms import LOOK_ALIKES, RULES
from watchdog.core.symptoms.index import RuleIndex
from watchdog.core.symptoms.rule import first_match
from watchdog.core.symptoms.sieve import FOUND_STEMS, STEMS, is_worth_reading, lines_worth_reading, stems_in

WORDS = sorted({word for rule in (*RULES, *LOOK_ALIKES) for word in rule.one_of})
EXAMPLES = [line for _, line in SHOWN] + HARMLESS
INDEX = RuleIndex(RULES, LOOK_ALIKES)

# Text that comes near to what the products write: their words, numbers, quotes, escapes and rubbish.
pieces = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(EXAMPLES),
    st.sampled_from(
        [
            'msg="',
            "level=error ",
            '{"log":"',
            '"',
            "\\",
            "\x1b[31m",
            "\x00",
            "=",
            "locked for 1m",
            " 503 ",
            "\r",
        ]
    ),
    st.text(alphabet=string.printable, max_size=20),
    st.text(max_size=8),
    st.integers().map(str),
)
near_lines = st.lists(pieces, max_size=8).map("".join)


def _as_read(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


rubbish = st.binary(max_size=300).map(_as_read)


def test_every_word_of_a_rule_is_found_by_the_sieve():
    words = {word for rule in RULES for word in rule.one_of}
    assert {word for word in words if not any(stem in word for stem in FOUND_STEMS)} == set()


def test_words_are_lower_case_and_said_once_a_rule():
    for rule in (*RULES, *LOOK_ALIKES):
        words = (*rule.one_of, *rule.with_all, *rule.without)
        assert all(word == word.lower() and word for word in words), rule
        assert len(set(rule.one_of)) == len(rule.one_of), rule


def test_every_rule_that_is_no_look_alike_has_a_finer_name():
    assert all("." in rule.detail for rule in RULES)


def test_stems_are_found_where_they_overlap():
    assert {"error", "fail"} <= stems_in("errorfail")
    assert all(stems_in(stem.lower()) for stem in STEMS)


@given(near_lines)
@settings(max_examples=300, deadline=None)
def test_the_index_gives_the_same_answer_as_all_rules_in_order(text):
    lowered = text.lower()
    straight = first_match(RULES, lowered)
    expected = straight and (first_match(LOOK_ALIKES, lowered) or straight)
    assert INDEX.first_match(lowered) == expected


@given(near_lines)
@settings(max_examples=300, deadline=None)
@example("\u0130 unexpected EOF")
def test_what_the_sieve_drops_matches_no_rule(line):
    if not is_worth_reading(line):
        assert first_match(RULES, line.lower()) is None


@given(st.lists(near_lines, max_size=12))
@settings(max_examples=200, deadline=None)
def test_a_block_gives_up_the_lines_that_are_worth_reading_one_by_one(lines):
    lines = [line.replace("\n", " ") for line in lines]
    block = "\n".join(lines).encode("utf-8", "replace")
    starts = set(lines_worth_reading(block))
    at = 0
    for raw in block.split(b"\n"):
        text = raw.decode("utf-8", "replace")
        if classify_sifted(text).kind is not SymptomKind.NONE:
            assert at in starts
        at += len(raw) + 1


@given(st.one_of(near_lines, rubbish))
@settings(max_examples=500, deadline=None)
@example('{"log":' * 2000)
@example("[" * 60_000)
@example('time="' + "\\" * 5000 + '" msg="error')
@example("2022-09-08T01:12:08Z " * 3000 + "error")
@example("locked for " + "9" * 400 + "h error")
@example("level=error msg=x http.response.status=" + "9" * 5000)
@example("retrying (99999999999/5) error")
@example('{"log":"' + " " * 60 + '","attrs":"error"}')  # nothing but blanks within
@example("error" + "\x0b" * 60)
@example("\x0b" * 60 + "error")
def test_any_text_is_allowed(text):
    symptom = classify(text, LogClock(1_700_000_000 * 10**9))
    assert isinstance(symptom, Symptom)
    assert symptom.attempt is None or 0 <= symptom.attempt < 10_000
    assert symptom.wall_ns is None or isinstance(symptom.wall_ns, int)
    assert classify(text, LogClock(1_700_000_000 * 10**9)) == symptom


@given(near_lines)
@settings(max_examples=200, deadline=None)
def test_peeling_ends_and_never_adds(text):
    assert len(parse(text).text) <= 4 * len(text) + 4


@pytest.mark.parametrize(
    "before",
    [
        "locked for 1m",
        "lookup a",
        "retrying in 1m",
        "error http.response.duration=1m",
        "error fail ",
        'time=1 level=error msg="error" ',
        '"GET /v2/a HTTP/1.1" 500 ',
    ],
)
def test_a_long_line_takes_no_longer_than_its_length(before):
    """No pattern may backtrack far: 60 kB of the worst that was found, each within half a second."""
    for piece in (
        "x",
        "a=",
        '"',
        "1/",
        "error: ",
        "x.rs:",
        "lookup a",
        ": eof ",
        "quota ",
        "->a:1",
        "[1.2] ",
        "code ",
        "0",
    ):
        line = (piece * 60_000)[:60_000]
        began = time.process_time()
        classify_sifted(before + line)
        assert time.process_time() - began < 0.5, piece
