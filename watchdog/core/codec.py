"""Records to and from JSON.

A record is a frozen dataclass; its JSON is an object with its fields, and for
an observation also "type", its class name.  Fields that are missing take
their default, so an older recording is still read; fields that are unknown
are an error, because they mean a newer format.
"""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from functools import lru_cache
from typing import Any, Callable, Dict, Type, Union, cast, get_args, get_origin, get_type_hints

from watchdog.core import observation
from watchdog.errors import RecordingError

_TYPES: Dict[str, Type[Any]] = {kind.__name__: kind for kind in get_args(observation.Observation)}


def to_plain(record: Any) -> Any:
    """A record as dicts, lists and scalars; fields at their default are left out."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {
            field.name: to_plain(getattr(record, field.name))
            for field in dataclasses.fields(record)
            if getattr(record, field.name) != field.default
        }
    if isinstance(record, Enum):
        return record.value
    if isinstance(record, (tuple, list)):
        return [to_plain(item) for item in record]
    return record


def from_plain(kind: Any, value: Any) -> Any:
    """The record of type `kind` that `to_plain` made `value` from.

    Raises RecordingError when the value is not of that shape.
    """
    return _reader(kind)(value)


def frame_to_json(frame: observation.Frame) -> str:
    """One line of a recording."""
    seen = [{"type": type(one).__name__, **to_plain(one)} for one in frame.observations]
    return json.dumps({"now_ns": frame.now_ns, "observations": seen}, separators=(",", ":"))


def frame_from_json(line: str) -> observation.Frame:
    """The frame that a line of a recording holds; RecordingError when it holds none."""
    try:
        value = json.loads(line)
        seen = tuple(_observation_from(one) for one in _expect(list, value["observations"]))
        return observation.Frame(_expect(int, value["now_ns"]), seen)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordingError(f"not a frame of a recording: {error}") from error


def _observation_from(value: Dict[str, Any]) -> observation.Observation:
    fields = dict(value)
    name = fields.pop("type")
    if name not in _TYPES:
        raise RecordingError(f"unknown observation {name!r}: the recording is of another version")
    return cast(observation.Observation, from_plain(_TYPES[name], fields))


@lru_cache(maxsize=256)
def _reader(kind: Any) -> Callable[[Any], Any]:
    """A function that turns plain JSON into a value of type `kind`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:  # Optional[X]
        inner = _reader(next(one for one in arguments if one is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda value: tuple(item(one) for one in _expect(list, value))
    if dataclasses.is_dataclass(kind):
        return _record_reader(cast(Type[Any], kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_reader(kind)
    return lambda value: _expect(kind, value)


def _enum_reader(kind: Type[Enum]) -> Callable[[Any], Enum]:
    def read(value: Any) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise RecordingError(str(error)) from error

    return read


def _record_reader(kind: Type[Any]) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}

    def read(value: Any) -> Any:
        fields = _expect(dict, value)
        unknown = sorted(set(fields) - set(readers))
        if unknown:
            raise RecordingError(f"{kind.__name__} has no field {unknown[0]!r}")
        try:
            return kind(**{name: readers[name](one) for name, one in fields.items()})
        except TypeError as error:
            raise RecordingError(f"{kind.__name__}: {error}") from error

    return read


def _expect(kind: Type[Any], value: Any) -> Any:
    right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not right:
        raise RecordingError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value
