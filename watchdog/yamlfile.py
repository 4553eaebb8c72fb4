"""A YAML file as values that know where they stand.

Law: every complaint names file and line, what is wrong there and what to write
instead.  Nodes are read, not Python objects, because only nodes have lines.
"""

from __future__ import annotations

import difflib
import re
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Type, TypeVar

import yaml

from watchdog.errors import ConfigError

LARGEST_BYTES = 1 << 20  # no configuration is larger; a wrong path may be

_SWITCHES = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
_DURATION = re.compile(r"([0-9]{1,9})\s*([a-z]*)")

Choice = TypeVar("Choice", bound=Enum)


def duration_ns(text: str) -> int:
    """Nanoseconds of "90s", "5m", "24h" or "7d"; ValueError says what is wrong."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f'"{text}" is no duration: write a number and a unit, such as 90s, 5m, 24h or 7d')
    number, unit = found.groups()
    if not unit:
        raise ValueError(f'"{text}" has no unit: write {number}s, {number}m, {number}h or {number}d')
    if unit not in _UNITS_NS:
        raise ValueError(f'"{unit}" is no unit of time: use s, m, h or d')
    if int(number) == 0:
        raise ValueError(f'"{text}" is no time at all: write at least 1{unit}')
    return int(number) * _UNITS_NS[unit]


def suggestion(word: str, known: Iterable[str]) -> str:
    """'did you mean "x"?' where one of `known` is close, else all of them."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f'did you mean "{close[0]}"?' if close else "known: " + ", ".join(names)


@dataclass(frozen=True)
class Value:
    """One value of a file.  `name` is its path in the document, as "runtimes[0].socket"."""

    name: str
    node: yaml.Node

    def wrong(self, problem: str) -> ConfigError:
        """The error to raise about this value."""
        mark = self.node.start_mark
        return ConfigError(f"{mark.name}:{mark.line + 1}: {problem}")

    def overlaid(self, later: Value) -> Value:
        """This value after a later file's: sections merge key by key, all else is replaced."""
        try:
            return Value(self.name, _overlaid(self.node, later.node))
        except RecursionError:
            raise later.wrong(f"{self.name} holds itself: take the * out") from None

    def scalar(self, wanted: str) -> str:
        if not isinstance(self.node, yaml.ScalarNode):
            found = "a list" if isinstance(self.node, yaml.SequenceNode) else "a section"
            raise self.wrong(f"{self.name} is {found}, but must be {wanted}")
        self._demand_content(wanted)
        return str(self.node.value)

    def _demand_content(self, wanted: str) -> None:
        if self.node.tag.endswith(":null"):
            raise self.wrong(f"{self.name} is empty: write {wanted}, or leave the key out")

    def text(self, wanted: str = "text") -> str:
        """A string; numbers and switches are not taken for one."""
        found = self.scalar(wanted)
        if not self.node.tag.endswith(":str"):
            kind = self.node.tag.rpartition(":")[2]
            raise self.wrong(
                f'{self.name} must be {wanted}, but {found} is read as {kind}: put it in "quotes"'
            )
        if not found.strip():
            raise self.wrong(f"{self.name} is empty: write {wanted}, or leave the key out")
        return found

    def whole(self, least: int, most: int) -> int:
        """A whole number between `least` and `most`."""
        found = self.scalar("a whole number")
        if not re.fullmatch(r"-?[0-9]{1,15}", found):
            raise self.wrong(f'{self.name} must be a whole number, "{found}" is none')
        if not least <= int(found) <= most:
            raise self.wrong(f"{self.name} is {found}: use {least} to {most}")
        return int(found)

    def switch(self) -> bool:
        """on or off."""
        found = self.scalar("on or off")
        if found.lower() not in _SWITCHES:
            raise self.wrong(f'{self.name} must be on or off, not "{found}"')
        return _SWITCHES[found.lower()]

    def is_off(self) -> bool:
        """Whether `off` stands where a section could."""
        return isinstance(self.node, yaml.ScalarNode) and _SWITCHES.get(self.node.value.lower()) is False

    def choice(self, kind: Type[Choice]) -> Choice:
        """One of an enum's values."""
        known = [str(one.value) for one in kind]
        found = self.scalar("one of " + ", ".join(known))
        if found not in known:
            raise self.wrong(f'{self.name} cannot be "{found}"; {suggestion(found, known)}')
        return kind(found)

    def duration_ns(self) -> int:
        """A time with its unit, in nanoseconds."""
        try:
            return duration_ns(self.scalar("a duration, such as 24h"))
        except ValueError as error:
            raise self.wrong(f"{self.name}: {error}") from None

    def absolute_path(self) -> Path:
        """A path that starts with a slash."""
        path = Path(self.text("an absolute path"))
        if not path.is_absolute() or ".." in path.parts:
            raise self.wrong(f'{self.name} must be an absolute path, "{path}" is not: start it with /')
        return path

    def items(self) -> List[Value]:
        """The entries of a list that is not empty."""
        self._demand_content("a list")
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong(f'{self.name} must be a list: start each entry with "- "')
        if not self.node.value:
            raise self.wrong(f"{self.name} is an empty list: name at least one, or leave the key out")
        return [Value(f"{self.name}[{n}]", one) for n, one in enumerate(self.node.value)]

    def words(self) -> Tuple[str, ...]:
        """A list of strings, such as a command and its arguments."""
        return tuple(one.text() for one in self.items())

    def section(self, known: Sequence[str]) -> Dict[str, Value]:
        """The keys of a mapping; an unknown or repeated one is an error."""
        self._demand_content(f'keys below it, such as "{known[0]}: …"')
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f'{self.name} must be a section with keys, such as "{known[0]}: …"')
        found: Dict[str, Value] = {}
        for key, value in self.node.value:
            word = _word(key)
            here = Value(word, key)
            if word not in known:
                raise here.wrong(f'unknown key "{word}" in {self.name}; {suggestion(word, known)}')
            if word in found:
                first = found[word].node.start_mark.line + 1
                raise here.wrong(f'"{word}" is given twice in {self.name}, first on line {first}: remove one')
            inner = word if self.name == DOCUMENT else f"{self.name}.{word}"
            found[word] = Value(inner, value)
        return found


def _word(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) else "(a list or section)"


def _overlaid(node: yaml.Node, later: yaml.Node) -> yaml.Node:
    if not (isinstance(node, yaml.MappingNode) and isinstance(later, yaml.MappingNode)):
        return later
    here = {_word(key) for key, _ in node.value}
    given: Dict[str, yaml.Node] = {}
    added = []
    for key, value in later.value:
        word = _word(key)
        # A key that is given twice in one file stays so, to be complained about.
        if word in here and word not in given:
            given[word] = value
        else:
            added.append((key, value))
    kept = [
        (key, _overlaid(value, given[_word(key)]) if _word(key) in given else value)
        for key, value in node.value
    ]
    return yaml.MappingNode(node.tag, kept + added, node.start_mark)


DOCUMENT = "the configuration"


def read_document(path: Path) -> Value:
    """The root of the file; ConfigError when there is none to be had.

    An empty file is an error, for that is what an interrupted write leaves.
    """
    text = _read_text(path)
    if not text.strip():
        raise ConfigError(f'{path}:1: the file is empty: write at least "mode: observe", or remove the file')
    try:
        node = _compose(path, text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(
            f"{path}:{line}: this is no YAML: {what}; check indent, colons and quotes"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{path}:{line}: a character that YAML forbids ({error.reason}): remove it"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path}:1: nested too deeply to be a configuration") from None
    if node is None:
        # Only comments: somebody has read it and wants the defaults.
        node = yaml.MappingNode("tag:yaml.org,2002:map", [], yaml.Mark(str(path), 0, 0, 0, None, 0))
    return Value(DOCUMENT, node)


def _compose(path: Path, text: str) -> Optional[yaml.Node]:
    """As yaml.compose, with the file's name in each mark."""
    loader = yaml.SafeLoader(text)
    loader.name = str(path)
    return loader.get_single_node()


def _read_text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path}: is no regular file: name the YAML file itself")
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file: write it, or leave out -c to run with the defaults"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read ({reason}): check its path and its permissions") from None
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"{path}: is larger than 1 MiB, so it is no configuration: check the path")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: byte {error.start} is not UTF-8: save the file as UTF-8") from None
