"""What a verdict rests on.

Law: nothing is confirmed on fewer than two independent kinds of evidence, and
a log line alone confirms nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Iterable


class Kind(str, Enum):
    """The independent kinds of evidence."""

    PROCESS_STATE = "process_state"
    COUNTERS = "counters"
    PIPE = "pipe"
    SOCKET = "socket"
    BLOB_FILE = "blob_file"
    LOG = "log"
    KERNEL_EVENT = "kernel_event"


@dataclass(frozen=True)
class Evidence:
    """One fact behind a verdict, as a sentence for a person."""

    kind: Kind
    text: str


def suffices(evidence: Iterable[Evidence]) -> bool:
    """True when the evidence is of two independent kinds, at least one of them not a log."""
    return len({fact.kind for fact in evidence}) >= 2
