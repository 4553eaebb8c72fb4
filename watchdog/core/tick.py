"""What one step of the core says: everything that reports, acts or replays reads this."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Dict, Optional, Tuple

from watchdog.core.codec import to_plain
from watchdog.core.estimate import Estimate
from watchdog.core.observation import ProcessKey, RuntimeSeen, SensorState


class Call(str, Enum):
    """What was decided about an incident."""

    ACT = "act"
    WOULD_ACT = "would_act"  # the mode is observe
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Decision:
    """One decision with its reason.

    `undo` names the action to be undone where the decision is about a lasting
    change whose time is over; its `incident` is then the one that made it.
    """

    incident: str
    call: Call
    reason: str
    remedy: Optional[str] = None
    undo: Optional[str] = None


@dataclass(frozen=True)
class Transition:
    """An incident went from one state to another; `old` is None when it was opened."""

    incident: str
    old: Optional[str]
    new: str
    reason: str


@dataclass(frozen=True)
class PullView:
    """A pull that can be seen.  `client` None: known from the content store only.

    `estimate` None: not known, as when several pulls share the downloads.
    """

    runtime: str
    image: Optional[str]
    client: Optional[ProcessKey]
    connected: Optional[bool]
    note: str = ""
    estimate: Optional[Estimate] = None


@dataclass(frozen=True)
class StageView:
    """A stage of an extraction as the last scan showed it."""

    runtime: str
    role: str
    pid: int
    comm: str
    states: str
    read_bytes: Optional[int]
    written_bytes: Optional[int]
    still_samples: int
    blob: str = ""
    blob_size_bytes: Optional[int] = None
    blob_position_bytes: Optional[int] = None


@dataclass(frozen=True)
class Bypassed:
    """A mirror that an action of ours took out of use; `image` is what it is asked for, "" for none."""

    action: str
    runtime: str
    endpoint: str
    image: str = ""


@dataclass(frozen=True)
class Tick:
    """The outcome of one step.

    `incidents` are records (core/record.py) of the open and the lately ended
    ones, newest last.  `changed` are the ids of those that differ from the last
    tick.  `active`: something is going on, so look again soon.  `awaited` are
    the images whose arrival would end an incident, as (runtime, REPOSITORY@DIGEST).
    `bypassed`: mirrors whose recovery would end a lasting change.
    """

    now_ns: int
    sentence: str
    incidents: Tuple[Dict[str, Any], ...] = ()
    changed: Tuple[str, ...] = ()
    transitions: Tuple[Transition, ...] = ()
    decisions: Tuple[Decision, ...] = ()
    pulls: Tuple[PullView, ...] = ()
    stages: Tuple[StageView, ...] = ()
    sensors: Tuple[SensorState, ...] = ()
    runtimes: Tuple[RuntimeSeen, ...] = ()
    budgets: Tuple[Tuple[str, str, int], ...] = ()
    verdicts: Tuple[Tuple[str, str], ...] = ()
    awaited: Tuple[Tuple[str, str], ...] = ()
    bypassed: Tuple[Bypassed, ...] = ()
    paused: str = ""
    inhibited: str = ""
    active: bool = False

    def to_json(self) -> str:
        """One canonical line; equal ticks give equal text."""
        return json.dumps(to_plain(self), sort_keys=True, separators=(",", ":"), default=str)
