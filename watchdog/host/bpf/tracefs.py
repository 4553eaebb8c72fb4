"""Where this kernel puts the fields of its tracepoints, read from tracefs.

Law: nothing is mounted here and no kernel struct is known.  A field that is
not there, or has another size than the probes read, is absent.

TRACEPOINTS repeats `struct layout` of probes/events.h, in its order;
tests/test_event_layout.py compares them.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Tuple

from watchdog.errors import Unavailable
from watchdog.host.bpf.decode import LAYOUT_VERSION

MOUNTS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
ABSENT = 0xFFFF

# (category, name) -> the fields that the probes read, with the size that they read.
TRACEPOINTS: Mapping[Tuple[str, str], Mapping[str, int]] = {
    ("task", "task_newtask"): {"pid": 4, "clone_flags": 8},
    ("sched", "sched_process_exec"): {"filename": 4},
    ("sched", "sched_process_exit"): {"group_dead": 1},
    ("signal", "signal_generate"): {"sig": 4, "code": 4, "comm": 16, "pid": 4},
    ("sock", "inet_sock_set_state"): {
        "skaddr": 8,
        "oldstate": 4,
        "newstate": 4,
        "sport": 2,
        "dport": 2,
        "protocol": 2,
        "daddr_v6": 16,
    },
    ("tcp", "tcp_receive_reset"): {"skaddr": 8},
    ("tcp", "tcp_send_reset"): {"skaddr": 8},
    ("tcp", "tcp_retransmit_skb"): {"skaddr": 8},
}
_PROCESS_CATEGORIES = ("task", "sched", "signal")
_MAY_BE_ABSENT = ("sched_process_exit__group_dead",)  # 6.18 has it, 6.12 does not

_FIELD = re.compile(r"^\s*field:.*?(\w+)(?:\[[^\]]*\])?;\s*offset:(\d+);\s*size:(\d+);", re.MULTILINE)


@dataclass(frozen=True)
class Layout:
    """`offsets`: bytes from the record's start, by TRACEPOINT__FIELD; ABSENT where it has none.

    `refused`: why a tracepoint cannot be used on this kernel, by (category, name).
    """

    offsets: Dict[str, int]
    refused: Dict[Tuple[str, str], str]

    def packed(self) -> bytes:
        """As `struct layout` lies in memory, without its padding at the end."""
        return struct.pack(f"=I{len(self.offsets)}H", LAYOUT_VERSION, *self.offsets.values())

    def sees_tcp(self) -> bool:
        return ("sock", "inet_sock_set_state") not in self.refused


def read_layout(mounts: Tuple[Path, ...] = MOUNTS) -> Layout:
    """The layout of this kernel's records.

    Raises Unavailable without a readable tracefs, or where a tracepoint of
    process life is missing.  Those of TCP may be: they are only refused.
    """
    events = _find_events(mounts)
    layout = Layout({}, {})
    for (category, name), sizes in TRACEPOINTS.items():
        found = _read_format(events / category / name / "format")
        offsets = {f"{name}__{field}": _offset(found, field, size) for field, size in sizes.items()}
        layout.offsets.update(offsets)
        missing = [at for at in offsets if offsets[at] == ABSENT and at not in _MAY_BE_ABSENT]
        if missing or not found:
            layout.refused[category, name] = f"{category}:{name} lacks {', '.join(missing) or 'everything'}"
    for (category, _), reason in layout.refused.items():
        if category in _PROCESS_CATEGORIES:
            raise Unavailable(f"this kernel's tracepoint {reason}")
    return layout


def number_of(tracepoint: Tuple[str, str], mounts: Tuple[Path, ...] = MOUNTS) -> int:
    """By which the kernel knows it.  Raises Unavailable."""
    category, name = tracepoint
    path = _find_events(mounts) / category / name / "id"
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path} cannot be read: {error}") from None


def parse_format(text: str) -> Dict[str, Tuple[int, int]]:
    """(offset, size) of each field in a tracepoint's `format` file."""
    return {name: (int(offset), int(size)) for name, offset, size in _FIELD.findall(text)}


def _find_events(mounts: Tuple[Path, ...]) -> Path:
    for mount in mounts:
        try:
            if (mount / "events").is_dir():
                return mount / "events"
        except PermissionError:
            raise Unavailable(f"tracefs at {mount} is not readable for this user: run as root") from None
    raise Unavailable(f"tracefs is not mounted: mount -t tracefs nodev {mounts[0]}")


def _read_format(path: Path) -> Dict[str, Tuple[int, int]]:
    try:
        return parse_format(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return {}
    except PermissionError:
        raise Unavailable(f"tracefs is not readable for this user ({path}): run as root") from None


def _offset(found: Mapping[str, Tuple[int, int]], field: str, size: int) -> int:
    offset, actual_size = found.get(field, (ABSENT, size))
    return offset if actual_size == size else ABSENT
