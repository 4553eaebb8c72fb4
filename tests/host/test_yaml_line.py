"""One scalar of a YAML file, changed alone or not at all."""

from __future__ import annotations

from typing import List

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from watchdog.errors import Refused
from watchdog.host.yaml_line import scalar, with_scalar

KEYS = ("download", "pieceTimeout")
FILE = """\
\ufeff# head\r
download:   # of pieces\r
  server: {socketPath: /run/a.sock}\r
  pieceTimeout: %s   # since the pilot, see 0123\r
  list: [1, {pieceTimeout: 30s}]\r
other:\r
  pieceTimeout: 30s\r
# tail without a line end"""


@pytest.mark.parametrize(("old", "new"), [("30s", "600s"), ("'30s'", "'600s'"), ('"30s"', '"600s"')])
def test_its_value_changes_and_not_another_byte(old: str, new: str) -> None:
    assert with_scalar(FILE % old, KEYS, "600s") == FILE % new
    assert with_scalar(FILE % new, KEYS, "30s") == FILE % old


def test_in_a_flow_mapping() -> None:
    assert with_scalar("download: {pieceTimeout: 30s, a: b}\n", KEYS, "1m") == (
        "download: {pieceTimeout: 1m, a: b}\n"
    )


REFUSED = {
    "not there": "download:\n  other: 1\n",
    "no mapping": "download: 3\n",
    "empty": "",
    "no value": "download:\n  pieceTimeout:\n",
    "twice": "download:\n  pieceTimeout: 1s\n  pieceTimeout: 2s\n",
    "section twice": "download:\n  pieceTimeout: 1s\ndownload:\n  pieceTimeout: 2s\n",
    "anchor": "download:\n  pieceTimeout: &t 30s\nother: *t\n",
    "alias": "t: &t 30s\ndownload:\n  pieceTimeout: *t\n",
    "section by alias": "d: &d {pieceTimeout: 30s}\ndownload: *d\n",
    "folded": "download:\n  pieceTimeout: >\n    30s\n",
    "over two lines": "download:\n  pieceTimeout: 30\n    s\n",
    "a list": "download:\n  pieceTimeout: [30s]\n",
    "two documents": "download:\n  pieceTimeout: 30s\n---\na: 1\n",
    "no YAML": "download:\n\tpieceTimeout: 30s\n",
    "tagged": "download:\n  pieceTimeout: !!str 30s\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_not_one_plain_line_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        with_scalar(text, KEYS, "600s")


def test_a_value_that_would_be_read_as_something_else_is_refused() -> None:
    with pytest.raises(Refused):
        with_scalar("download:\n  pieceTimeout: 30s\n", KEYS, "600s # and more")


def test_a_scalar_is_read_without_its_quotes() -> None:
    assert scalar(FILE % "'30s'", KEYS) == "30s"
    assert scalar(FILE % "30s", ("download", "none")) is None
    assert scalar(FILE % "30s", ("download",)) is None


_WORDS = st.text(alphabet="ab:#'\"-{}[]&*!|> \n\t%@,0", max_size=12)


@given(st.lists(st.tuples(st.sampled_from(["download", "a", "pieceTimeout"]), _WORDS), max_size=6), _WORDS)
def test_whatever_the_file_holds_one_value_changes_or_none(pairs: List[tuple], between: str) -> None:  # type: ignore[type-arg]
    lines = "".join(f"{key}: {value}\n" for key, value in pairs)
    text = f"{lines}download:\n  pieceTimeout: 30s{between}\n"
    try:
        after = with_scalar(text, KEYS, "600s")
    except Refused:
        return
    try:
        before, now = yaml.safe_load(text), yaml.safe_load(after)
    except yaml.constructor.ConstructorError:
        return  # a tag that nobody knows
    assert now["download"]["pieceTimeout"] == "600s"
    now["download"]["pieceTimeout"] = before["download"]["pieceTimeout"]
    assert now == before
