"""probes/events.h and its Python mirror say the same, to the byte."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from watchdog.host.bpf import decode, tracefs, tracepoints

HEADER = (Path(__file__).parent.parent / "probes" / "events.h").read_text(encoding="utf-8")
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "char": 1}

# What each version of the layout was.  A change of events.h wants a new version, so
# that a loader never takes an object of the other layout.
DIGESTS = {1: "5bae51a17007c4cb"}

Member = Tuple[str, int, int]  # name, offset, size


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def constants(text: str) -> Dict[str, int]:
    """Enumerators and #defines with a number."""
    found = re.findall(
        r"^\s*(?:#define\s+)?([A-Z_]+)\s*=?\s*(0x[0-9a-f]+|\d+),?\s*$", without_comments(text), re.M
    )
    return {name: int(value, 0) for name, value in found}


def struct_members(text: str, name: str) -> List[Member]:
    """The members as a C compiler lays them out: each at a multiple of its own size."""
    body = re.search(rf"struct {name} {{(.*?)}};", without_comments(text), re.S)
    assert body, f"events.h has no struct {name}"
    members: List[Member] = []
    offset = 0
    for kind, member, count in re.findall(r"(\w+)\s+(\w+)(?:\[(\w+)\])?;", body[1]):
        size = SIZES[kind]
        offset += -offset % size
        total = size * (constants(text)[count] if count else 1)
        members.append((member, offset, total))
        offset += total
    return members


def mirrored_members(fields: decode.Fields) -> List[Member]:
    """The members as the agent unpacks them: one after the other."""
    members: List[Member] = []
    for index, (name, code) in enumerate(fields):
        members.append((name, decode.packing(fields[:index]).size, decode.packing(((name, code),)).size))
    return members


MIRRORS = [
    ("process_event", decode.PROCESS_EVENT),
    ("exec_event", decode.EXEC_EVENT),
    ("tcp_event", decode.TCP_EVENT),
]


@pytest.mark.parametrize(("name", "fields"), MIRRORS)
def test_events_lie_alike(name: str, fields: decode.Fields) -> None:
    assert mirrored_members(fields) == struct_members(HEADER, name)


@pytest.mark.parametrize(("name", "fields"), MIRRORS)
def test_no_gap_without_a_name(name: str, fields: decode.Fields) -> None:
    assert decode.packing(fields).size % 8 == 0
    assert sum(size for _, _, size in struct_members(HEADER, name)) == decode.packing(fields).size


@pytest.mark.parametrize(
    ("change", "to"),
    [
        ("u32 other_pid;", "u64 other_pid;"),
        ("u32 other_pid;", "u32 parent;"),
        ("COMM_BYTES 16", "COMM_BYTES 15"),
    ],
)
def test_a_change_of_the_header_is_noticed(change: str, to: str) -> None:
    changed = HEADER.replace(change, to)
    assert changed != HEADER
    assert mirrored_members(decode.PROCESS_EVENT) != struct_members(changed, "process_event")


def test_kinds() -> None:
    kinds = {name: value for name, value in constants(HEADER).items() if name.startswith("EVENT_")}
    mirrored = {f"EVENT_{what.upper()}": kind for kind, what in decode.PROCESS_KINDS.items()}
    mirrored.update({f"EVENT_TCP_{what.upper()}": kind for kind, what in decode.TCP_KINDS.items()})
    assert mirrored == kinds


@pytest.mark.parametrize(
    "name", ["WATCH_PROCESS", "WATCH_CHILDREN", "COMMAND_WATCH", "COMMAND_LEAF", "LOSSES", "COMM_BYTES"]
)
def test_map_values(name: str) -> None:
    assert getattr(tracepoints, name) == constants(HEADER)[name]


def test_offsets_come_in_the_order_of_struct_layout() -> None:
    members = [name for name, _, _ in struct_members(HEADER, "layout")]
    tables = [f"{name}__{field}" for (_, name), fields in tracefs.TRACEPOINTS.items() for field in fields]
    assert members == ["version", *tables]
    assert constants(HEADER)["ABSENT"] == tracefs.ABSENT


def test_the_layout_as_written_fits_the_struct() -> None:
    offsets = {f"{name}__{field}": 0 for (_, name), fields in tracefs.TRACEPOINTS.items() for field in fields}
    *_, (_, offset, size) = struct_members(HEADER, "layout")
    assert len(tracefs.Layout(offsets, {}).packed()) == offset + size


def test_another_layout_has_another_version() -> None:
    version = constants(HEADER)["LAYOUT_VERSION"]
    meaning = " ".join(without_comments(HEADER).split())
    assert version == decode.LAYOUT_VERSION == max(DIGESTS)
    assert hashlib.sha256(meaning.encode()).hexdigest()[:16] == DIGESTS[version]
