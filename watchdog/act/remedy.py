"""What every remedy is made of.

Law: `plan` looks and touches nothing; it says what would be done and why that
is allowed, or raises Refused.  `effect` checks again on the live machine, then
does it, at most once.  Between the two the intent is on the disk, and it holds
the plan's memory, so that `trace` can tell later, after the process was killed
at any point, whether the effect took place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Callable, FrozenSet, Generic, Mapping, Optional, Tuple, Type, TypeVar

from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.codec import from_plain, to_plain
from watchdog.core.incident import Incident
from watchdog.core.observation import LedgerEntry, Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.errors import LedgerError, RecordingError

M = TypeVar("M")


@dataclass(frozen=True)
class Context:
    """Everything that a remedy may know.

    `entries`: the ledger.  `watching` is called once the effect is made and only
    its end is awaited: the lock is given up then, so that others may act.
    """

    settings: ActSettings
    incident: Incident
    boot_id: str
    wall_ns: int
    entries: Tuple[LedgerEntry, ...] = ()
    watching: Callable[[], None] = lambda: None

    def earlier(self, remedy: Remedy, phase: str) -> Tuple[LedgerEntry, ...]:
        """The ledger's entries of that remedy in this boot."""
        return tuple(
            one
            for one in self.entries
            if one.remedy == remedy.value and one.phase == phase and one.boot_id == self.boot_id
        )


@dataclass(frozen=True)
class Plan(Generic[M]):
    """What a remedy would do.

    `steps`: sentences for a person.  `memory`: a frozen record that goes into
    the intent.  `expires_wall_ns`: when a lasting change is to be undone.
    """

    steps: Tuple[str, ...]
    memory: M
    culprit: Optional[ProcessKey] = None
    expires_wall_ns: Optional[int] = None


@dataclass(frozen=True)
class Made:
    """How an effect, or the undoing of one, went; `extra` is JSON for a program that reads it."""

    outcome: Outcome
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)


class Trace(str, Enum):
    """What an action whose process was killed has left behind."""

    NONE = "none"  # provably nothing: it may be done again
    MADE = "made"  # the effect is there: it is not done again
    UNKNOWN = "unknown"  # it may have been made: it is not done again


@dataclass(frozen=True)
class RemedyCode(Generic[M]):
    """One remedy: its four functions, and what it is for.

    `undo` None: it cannot be undone, and `why_not_undone` says why.
    """

    name: Remedy
    causes: FrozenSet[Cause]
    memory: Type[M]
    plan: Callable[[Context], Plan[M]]
    effect: Callable[[Context, Plan[M]], Made]
    trace: Callable[[Context, M], Trace]
    undo: Optional[Callable[[ActSettings, M], Made]] = None
    why_not_undone: str = ""

    def remembered(self, entry: LedgerEntry) -> M:
        """The memory that an intent of this remedy carries; LedgerError when it carries another."""
        try:
            memory: M = from_plain(self.memory, json.loads(entry.detail_json))
            return memory
        except (ValueError, RecordingError) as error:
            raise LedgerError(
                f"action {entry.action} of the ledger: its memory cannot be read: {error}"
            ) from error


def memory_json(memory: Any) -> str:
    """A plan's memory as the intent stores it."""
    return json.dumps(to_plain(memory), separators=(",", ":"))


DECOMPRESSOR_CAUSES = frozenset(
    {Cause.DECOMPRESSOR_STOPPED, Cause.DECOMPRESSOR_SPINNING, Cause.DECOMPRESSOR_BLOCKED}
)
UNTAR_CAUSES = frozenset({Cause.UNTAR_STOPPED, Cause.UNTAR_BLOCKED})
