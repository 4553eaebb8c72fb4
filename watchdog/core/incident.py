"""An incident: one hung process, from its confirmation to its end.

Law: the states and what leads from one to the next are the table below; what
is not in it is an error, and nothing happens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import Enum
from typing import Dict, Mapping, Optional, Tuple

from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.estimate import Estimate
from watchdog.core.evidence import Evidence
from watchdog.core.observation import BlobSample, Outcome, ProcessSample
from watchdog.core.policy import Remedy
from watchdog.core.pull import AffectedPull
from watchdog.core.target import Target
from watchdog.errors import WatchdogError


class State(str, Enum):
    """Where an incident stands; the values are metric labels."""

    CONFIRMED = "confirmed"
    ACTING = "acting"
    VERIFYING = "verifying"
    RECOVERED = "recovered"  # progress was seen after an action
    CLEARED = "cleared"  # it moved again by itself
    GONE = "gone"  # the subject ended; no success
    GAVE_UP = "gave_up"  # nothing is left that may be tried


class Happening(str, Enum):
    """What can happen to an incident."""

    FOUND_AGAIN = "found_again"
    ACTION_STARTED = "action_started"
    ACTION_ENDED = "action_ended"
    ACTION_LEFT_IT = "action_left_it"  # refused, failed, or meant for the next time
    PROGRESS = "progress"
    NO_PROGRESS = "no_progress"
    SUBJECT_ENDED = "subject_ended"
    NOTHING_LEFT = "nothing_left"
    ACKNOWLEDGED = "acknowledged"


_S, _H = State, Happening
TRANSITIONS: Mapping[State, Mapping[Happening, State]] = {
    _S.CONFIRMED: {
        _H.FOUND_AGAIN: _S.CONFIRMED,
        _H.ACTION_STARTED: _S.ACTING,
        _H.PROGRESS: _S.CLEARED,
        _H.SUBJECT_ENDED: _S.GONE,
        _H.NOTHING_LEFT: _S.GAVE_UP,
        _H.ACKNOWLEDGED: _S.CONFIRMED,
    },
    _S.ACTING: {
        _H.ACTION_ENDED: _S.VERIFYING,
        _H.ACTION_LEFT_IT: _S.CONFIRMED,
    },
    _S.VERIFYING: {
        _H.PROGRESS: _S.RECOVERED,
        _H.NO_PROGRESS: _S.CONFIRMED,
        _H.SUBJECT_ENDED: _S.GONE,
        _H.NOTHING_LEFT: _S.GAVE_UP,
    },
    _S.RECOVERED: {_H.FOUND_AGAIN: _S.CONFIRMED, _H.ACKNOWLEDGED: _S.RECOVERED},
    _S.CLEARED: {_H.FOUND_AGAIN: _S.CONFIRMED, _H.ACKNOWLEDGED: _S.CLEARED},
    _S.GONE: {
        _H.FOUND_AGAIN: _S.CONFIRMED,  # it was out of sight
        _H.ACKNOWLEDGED: _S.GONE,
        _H.ACTION_STARTED: _S.ACTING,  # the ledger tells late
    },
    _S.GAVE_UP: {_H.ACKNOWLEDGED: _S.CONFIRMED, _H.ACTION_STARTED: _S.ACTING},  # by a person
}

# What may set a pull going again, at once or by what its next attempt meets, and the outcomes after which
# it may have.
FREEING = frozenset(
    one.value
    for one in (
        Remedy.RESUME,
        Remedy.KILL_DECOMPRESSOR,
        Remedy.DISABLE_PIGZ,
        Remedy.RESTART_RUNTIME,
        Remedy.RESET_CONNECTION,
        Remedy.ROUTE_AROUND,
        Remedy.BYPASS_MIRROR,
        Remedy.FEWER_PARALLEL,
        Remedy.MORE_ATTEMPTS,
        Remedy.RAISE_P2P_TIMEOUT,
        Remedy.RESTART_P2P,
    )
)
EFFECTIVE = (Outcome.DONE, Outcome.EXPIRED)

OPEN = frozenset({State.CONFIRMED, State.ACTING, State.VERIFYING, State.GAVE_UP})


class Verdict(str, Enum):
    """What later observations say about an action."""

    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Owed:
    """A pull that our own kill ended or may have ended.

    `satisfied`: progress or the image was seen afterwards.  `gone_samples`:
    for how many looks nobody has been there who pulls it.  `asked`: a repull
    has begun that covers it, and has not been refused.
    """

    pull: AffectedPull
    satisfied: bool = False
    gone_samples: int = 0
    asked: bool = False

    @property
    def to_repull(self) -> bool:
        """Nobody else brings it, and the image is not there."""
        return not self.satisfied and self.gone_samples >= 2


@dataclass(frozen=True)
class ActionTaken:
    """One action of this incident; `outcome` None while it runs."""

    action: str
    remedy: str
    started_wall_ns: int
    outcome: Optional[Outcome] = None
    detail: str = ""


@dataclass(frozen=True)
class Incident:
    """All that is known of one incident.  Times are wall clock, nanoseconds.

    `culprit`, `stage`, `decompressor` and `daemon` are samples from when it was
    confirmed; `looks` counts the scans since the last action ended, or since it was
    found last; `carried` are pulls that an earlier kill owes and that this incident
    holds up again.  `subject`, `target`, `advice` and `estimate` as in Finding.
    """

    id: str
    runtime: str
    cause: Cause
    state: State
    culprit: ProcessSample
    evidence: Tuple[Evidence, ...]
    opened_wall_ns: int
    confirmed_wall_ns: int
    command: str = ""
    stage: Tuple[ProcessSample, ...] = ()
    decompressor: Tuple[ProcessSample, ...] = ()
    daemon: Optional[ProcessSample] = None
    pulls: Tuple[AffectedPull, ...] = ()
    certain: bool = False
    blob: Optional[BlobSample] = None
    hands_off: str = ""
    acknowledged_wall_ns: int = 0
    resolved_wall_ns: Optional[int] = None
    recurrence: int = 0
    actions: Tuple[ActionTaken, ...] = ()
    carried: Tuple[AffectedPull, ...] = ()
    owed: Tuple[Owed, ...] = ()
    looks: int = 0
    verification: Optional[Verdict] = None
    next: str = ""
    subject: str = ""
    target: Optional[Target] = None
    advice: Tuple[str, ...] = ()
    estimate: Optional[Estimate] = None

    @property
    def is_open(self) -> bool:
        """True while something may still happen to it."""
        return self.state in OPEN

    @property
    def belongs_to_pull(self) -> bool:
        """True when a layer's download file is certainly what it extracts."""
        return self.blob is not None

    @property
    def image(self) -> Optional[str]:
        """The image that it holds up, where that is certain."""
        known_as = self.carried or self.pulls  # the name that its user gave it
        return known_as[0].image if known_as and self.certain else None

    @property
    def running(self) -> Tuple[ActionTaken, ...]:
        """The actions whose end is not known yet."""
        return tuple(one for one in self.actions if one.outcome is None)

    @property
    def freed_wall_ns(self) -> int:
        """When the last action began that may have freed it; 0 for never."""
        freeing = [one for one in self.actions if one.remedy in FREEING and one.outcome in EFFECTIVE]
        return max((one.started_wall_ns for one in freeing), default=0)

    def taken(self, remedy: str, *outcomes: Outcome) -> Tuple[ActionTaken, ...]:
        """The actions of that remedy, with one of these outcomes where some are given."""
        return tuple(
            one for one in self.actions if one.remedy == remedy and (not outcomes or one.outcome in outcomes)
        )

    def after(self, happening: Happening) -> Incident:
        """The incident after that; WatchdogError when the table has no such step."""
        to = TRANSITIONS[self.state].get(happening)
        if to is None:
            raise WatchdogError(f"incident {self.id} is {self.state.value}: {happening.value} leads nowhere")
        return replace(self, state=to)


def incident_id(boot_id: str, runtime: str, name: str) -> str:
    """The same finding's name always gives the same id, so a restarted agent goes on with it."""
    return "pw-" + hashlib.sha256(f"{boot_id} {runtime} {name}".encode()).hexdigest()[:8]


def refreshed(incident: Incident, finding: Finding) -> Incident:
    """The incident with what this tick's finding adds to it."""
    pipeline = finding.pipeline
    return replace(
        incident,
        cause=finding.cause,
        culprit=finding.culprit,
        evidence=finding.evidence,
        hands_off=finding.hands_off,
        command=pipeline.decompressor.command if pipeline else incident.command,
        stage=_stage_of(finding),
        decompressor=pipeline.stage if pipeline else (),
        daemon=pipeline.daemon if pipeline else finding.culprit if finding.target else incident.daemon,
        blob=pipeline.blob if pipeline else None,
        looks=0 if finding.target else incident.looks,
        target=finding.target,
        advice=finding.advice,
        estimate=finding.estimate,
    )


def _stage_of(finding: Finding) -> Tuple[ProcessSample, ...]:
    if finding.target is not None:
        return ()
    pipeline = finding.pipeline
    if pipeline is not None and any(one.key == finding.culprit.key for one in pipeline.stage):
        return pipeline.stage
    return (finding.culprit,)


def with_action(incident: Incident, taken: ActionTaken) -> Incident:
    """The incident with that action added, or brought up to date."""
    by_id: Dict[str, ActionTaken] = {one.action: one for one in incident.actions}
    by_id[taken.action] = taken
    return replace(incident, actions=tuple(by_id.values()))
