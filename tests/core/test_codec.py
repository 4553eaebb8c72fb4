"""Recordings: every observation survives its JSON; what is cut off, foreign or newer is refused."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Any, Tuple, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.hangs import HANGS
from tests.core.scene import Scene
from watchdog.core.codec import frame_from_json, frame_to_json, from_plain, to_plain
from watchdog.core.observation import (
    Frame,
    LedgerEntry,
    Observation,
    Outcome,
    PipeEnd,
    ProcessKey,
    ProcessSample,
    SensorState,
)
from watchdog.errors import RecordingError

KINDS = get_args(Observation)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def values(kind: Any) -> st.SearchStrategy:
    """Any value of an annotated type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:
        return st.one_of(*[st.none() if one is type(None) else values(one) for one in arguments])
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{one.name: values(hints[one.name]) for one in dataclasses.fields(kind)})
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return {int: st.integers(-(1 << 63), (1 << 63) - 1), str: st.text(max_size=5), bool: st.booleans()}[kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_observation_survives_its_json(kind):
    # No database: examples of one kind would be tried on all.
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=SLOW)
    @given(values(kind))
    def survives(seen):
        frame = Frame(5, (seen,))
        line = frame_to_json(frame)
        assert "\n" not in line
        assert frame_from_json(line) == frame

    survives()


def test_what_is_at_its_default_is_left_out():
    assert to_plain(PipeEnd(7, has_room=False)) == {"inode": 7, "has_room": False}


def test_an_older_recording_lacks_fields_and_is_read():
    line = '{"now_ns":1,"observations":[{"type":"SensorState","sensor":"kernel","up":true}]}'

    assert frame_from_json(line) == Frame(1, (SensorState("kernel", True),))


def test_unseen_is_not_zero():
    """None and 0 mean different things, and stay different."""
    unseen = ProcessSample(ProcessKey(1, 2), 1, "unpigz", read_bytes=None)
    zero = dataclasses.replace(unseen, read_bytes=0)

    assert [from_plain(ProcessSample, to_plain(one)).read_bytes for one in (unseen, zero)] == [None, 0]


def test_an_outcome_is_its_word():
    entry = LedgerEntry("a", "result", 1, "boot", "pw-1", "resume", "x", "docker", outcome=Outcome.DONE)

    assert to_plain(entry)["outcome"] == "done"


@pytest.mark.parametrize(
    ("observation", "complaint"),
    [
        ({"type": "SomethingNew"}, "unknown observation 'SomethingNew'"),
        ({"type": "SensorState", "sensor": "a", "up": True, "colour": "red"}, "no field 'colour'"),
        ({"type": "SensorState", "sensor": "a"}, "SensorState"),
        ({"type": "SensorState", "sensor": "a", "up": 1}, "expected bool, found int"),
        ({"type": "SensorState", "sensor": None, "up": True}, "expected str, found NoneType"),
        (
            {"type": "MachineSeen", "boot_id": "b", "wall_ns": True, "monotonic_ns": 0},
            "expected int, found bool",
        ),
        (
            {"type": "MachineSeen", "boot_id": "b", "wall_ns": 1.0, "monotonic_ns": 0},
            "expected int, found float",
        ),
        ({"type": "ClientScan", "runtime": "docker", "clients": {}}, "expected list, found dict"),
        ({"type": "LedgerSeen", "usable": True, "entries": [3]}, "expected dict, found int"),
        ({"type": ["SensorState"]}, "not a frame"),
        ({"sensor": "a", "up": True}, "type"),
        ("SensorState", "not a frame"),
    ],
)
def test_an_observation_of_another_shape_is_refused(observation, complaint):
    with pytest.raises(RecordingError, match=complaint):
        frame_from_json(json.dumps({"now_ns": 1, "observations": [observation]}))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        "null",
        "[]",
        "{}",
        '{"now_ns":1}',
        '{"observations":[]}',
        '{"now_ns":1,"observations":{}}',
        '{"now_ns":1,"observations":null}',
        '{"now_ns":"1","observations":[]}',
        '{"now_ns":true,"observations":[]}',
        '{"now_ns":1.5,"observations":[]}',
        '{"now_ns":1e999,"observations":[]}',
        "[" * 100_000,
        "\x7fELF\x02\x01\x01",
    ],
    ids=lambda line: line[:40],
)
def test_a_foreign_line_is_refused(line):
    with pytest.raises(RecordingError):
        frame_from_json(line)


def test_a_line_that_is_cut_off_anywhere_is_refused():
    line = frame_to_json(Frame(17, (SensorState("kernel", False, "lost 3"),)))

    for end in range(len(line)):
        with pytest.raises(RecordingError):
            frame_from_json(line[:end])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "now_ns", "observations", "sensor", "up", "x"]), inner, max_size=4
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(JSON, st.sampled_from([kind.__name__ for kind in KINDS]))
def test_no_json_at_all_is_an_unexpected_error(value, name):
    observation = {**value, "type": name} if isinstance(value, dict) else value
    for line in (json.dumps(value), json.dumps({"now_ns": 1, "observations": [observation]})):
        try:
            frame_from_json(line)
        except RecordingError:
            pass


@pytest.mark.parametrize("kind", HANGS)
def test_a_whole_scene_survives_its_json(kind):
    scene = Scene()
    scene.hang(scene.pull(wrapper=True), kind)
    scene.tick(20)

    again: Tuple[Frame, ...] = tuple(frame_from_json(frame_to_json(one)) for one in scene.frames)

    assert again == tuple(scene.frames)
