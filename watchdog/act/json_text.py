"""One member of a JSON object changed in its text, and every other byte kept.

A file that people wrote has an order, an indent and blank lines of theirs.  So
it is not read and printed anew: the text of one value is exchanged, or a member
is added behind the last one, or taken out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Dict, List, Optional, Tuple

_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class Member:
    """Where a member of the object stands: its name from `begin` on, its value from `value` to `end`."""

    begin: int
    value: int
    end: int


def parse(text: str) -> Dict[str, Any]:
    """The object that the text is.  Raises ValueError for another value, and for a name that comes twice."""
    found = json.loads(text, object_pairs_hook=_once)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def value_text(text: str, name: str) -> Optional[str]:
    """The text of a member's value; None where the object has no such member."""
    one = _members(text).get(name)
    return None if one is None else text[one.value : one.end]


def exchanged(text: str, name: str, value: Optional[str]) -> str:
    """The object's text with that text as the member's value; None takes the member out."""
    members = _members(text)
    one = members.get(name)
    if value is None:
        return text if one is None else _without(text, list(members.values()), one)
    if one is not None:
        return text[: one.value] + value + text[one.end :]
    return _with(text, list(members.values()), f"{json.dumps(name)}: {value}")


def _once(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'"{next(one for one in names if names.count(one) > 1)}" stands in it twice')
    return found


def _members(text: str) -> Dict[str, Member]:
    """Every member of an object's text that `parse` takes, in order."""
    decoder, members = json.JSONDecoder(), {}
    at = _after_space(text, _after_space(text, 0) + 1)  # behind "{"
    while text[at] != "}":
        name, behind = scanstring(text, at + 1)
        value = _after_space(text, _after_space(text, behind) + 1)  # behind ":"
        _, end = decoder.raw_decode(text, value)
        members[name] = Member(at, value, end)
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return members


def _with(text: str, members: List[Member], added: str) -> str:
    """The added member stands as the last one does: on a line of its own, or behind it."""
    opening = text.index("{") + 1
    if not members:
        return f"{text[:opening]}\n    {added}\n}}{text[text.rindex('}') + 1 :]}"
    last = members[-1]
    before = members[-2].end if len(members) > 1 else opening
    _, line_end, indent = text[before : last.begin].rpartition("\n")
    space = line_end + indent if line_end else " "
    return f"{text[: last.end]},{space}{added}{text[last.end :]}"


def _without(text: str, members: List[Member], one: Member) -> str:
    """Without the member, and without the comma and the space that parted it from the others."""
    place = members.index(one)
    if place > 0:
        return text[: members[place - 1].end] + text[one.end :]
    if len(members) > 1:
        return text[: one.begin] + text[members[1].begin :]
    return text[: text.index("{") + 1] + text[text.rindex("}") :]


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None  # it matches the empty text, too
    return found.end()
