"""One value changed, every other byte kept; checked against json on texts of all kinds."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.act import json_text

OURS = """{
  "debug": false,

\t"registry-mirrors" : [ "http://a/" ,"http://b/" ],
  "x-unknown": {"deep": [1, {"registry-mirrors": 2}]}
}
"""


def test_one_value_is_exchanged_and_nothing_else() -> None:
    changed = json_text.exchanged(OURS, "registry-mirrors", '["http://b/"]')

    assert changed == OURS.replace('[ "http://a/" ,"http://b/" ]', '["http://b/"]')


def test_the_way_back_is_the_same_text() -> None:
    before = json_text.value_text(OURS, "registry-mirrors")
    changed = json_text.exchanged(OURS, "registry-mirrors", "[]")

    assert before == '[ "http://a/" ,"http://b/" ]'
    assert json_text.exchanged(changed, "registry-mirrors", before) == OURS


def test_a_name_further_down_is_another_member() -> None:
    assert json_text.value_text('{"a": {"b": 1}}', "b") is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{\n  "a": 1,\n  "b": 2\n}\n', '{\n  "a": 1,\n  "b": 2,\n  "n": 3\n}\n'),
        ('{\n\t"a": 1\n}', '{\n\t"a": 1,\n\t"n": 3\n}'),
        ('{"a": 1}', '{"a": 1, "n": 3}'),
        ("{}\n", '{\n    "n": 3\n}\n'),
        (" { \n } ", ' {\n    "n": 3\n} '),
    ],
)
def test_a_new_member_stands_as_the_others_do(text: str, wanted: str) -> None:
    assert json_text.exchanged(text, "n", "3") == wanted


@pytest.mark.parametrize("text", ["[]", "{", "", '{"a": 1,}', '{"a": 1} x', '{"a": 1, "a": 2}', "// no\n{}"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        json_text.parse(text)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(max_size=4), plain, max_size=5)


@given(objects, st.text(max_size=4), plain, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_it_means_what_it_should(
    before: Dict[str, Any], name: str, value: Any, indent: Any, ascii_only: bool
) -> None:
    text = json.dumps(before, indent=indent, ensure_ascii=ascii_only)

    added = json_text.exchanged(text, name, json.dumps(value))
    removed = json_text.exchanged(added, name, None)

    assert json_text.parse(added) == {**before, name: value}
    assert json_text.parse(removed) == {key: one for key, one in before.items() if key != name}
    if name in before:
        assert json_text.exchanged(added, name, json_text.value_text(text, name)) == text
    elif before:
        assert removed == text
