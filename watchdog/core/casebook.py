"""The incidents: opened by findings, moved by actions, ended by what is seen later.

Law: at most one incident a process; its id comes from the process, so a
restarted agent goes on with the same one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

from watchdog.core.causes.finding import HUNG_DECOMPRESSOR, Finding
from watchdog.core.extraction import Tracks
from watchdog.core.history import History
from watchdog.core.incident import (
    ActionTaken,
    Happening,
    Incident,
    State,
    Verdict,
    incident_id,
    refreshed,
    with_action,
)
from watchdog.core.observation import ActionFinished, ActionStarted, LedgerEntry, Outcome
from watchdog.core.policy import Remedy
from watchdog.core.pull import attribute
from watchdog.core.record import from_record
from watchdog.core.tick import Transition
from watchdog.core.verification import bytes_moved, follow_owed, owed_by_kill, verify
from watchdog.core.world import World
from watchdog.errors import RecordingError

_REMEDIES = frozenset(one.value for one in Remedy)  # the undoing of one is none of them
ENDED_KEPT = 50  # lately ended incidents that are still told


class Casebook:
    """All incidents of this boot, by id, oldest first."""

    def __init__(self) -> None:
        self._incidents: Dict[str, Incident] = {}
        self.transitions: List[Transition] = []
        self.verdicts: List[Tuple[str, Verdict]] = []

    def begin(self) -> None:
        """Forget what the last tick reported."""
        self.transitions = []
        self.verdicts = []

    @property
    def all(self) -> Tuple[Incident, ...]:
        """Every incident, oldest first."""
        return tuple(self._incidents.values())

    def open(self) -> Tuple[Incident, ...]:
        """Those to which something may still happen."""
        return tuple(one for one in self._incidents.values() if one.is_open)

    # --- what comes in ---------------------------------------------------------

    def remember(self, records: List[Dict[str, Any]], world: World) -> None:
        """Take up the open incidents of an agent that ran before in this boot."""
        for record in records:
            try:
                incident = from_record(record)
            except RecordingError:
                continue  # of another version: the process is found again if it still hangs
            if incident.id in self._incidents or not incident.is_open:
                continue
            self._incidents[incident.id] = incident
            if record.get("boot_id") != world.machine.boot_id:
                self._end(incident, State.GONE, "it was of another boot", world)
            elif incident.state is State.ACTING:
                self._move(incident, Happening.ACTION_LEFT_IT, "the agent was restarted meanwhile")

    def started(self, seen: ActionStarted, world: World) -> None:
        """An action of this incident has begun."""
        incident = self._incidents.get(seen.incident)
        if incident is None:
            return
        incident = self._with(incident, ActionTaken(seen.action, seen.remedy, world.wall_ns()))
        if seen.remedy == Remedy.KILL_DECOMPRESSOR.value:
            incident = self._put(replace(incident, owed=owed_by_kill(incident)))
        if incident.state is State.CONFIRMED and seen.remedy in _REMEDIES:
            self._move(incident, Happening.ACTION_STARTED, seen.remedy)

    def finished(self, seen: ActionFinished) -> None:
        """An action of this incident has ended."""
        incident = self._incidents.get(seen.incident)
        if incident is None:
            return
        before = next((one for one in incident.actions if one.action == seen.action), None)
        if before is None:
            return
        taken = replace(before, outcome=seen.outcome, detail=seen.detail)
        self._settle(self._with(incident, taken), taken)

    def sync(self, world: World) -> None:
        """Take over what the ledger tells and no observation did: a person's act, or one
        whose end the agent did not live to see."""
        running = set(world.in_flight)
        for entry in world.ledger.entries:
            incident = self._incidents.get(entry.incident)
            if incident is None or entry.boot_id != world.machine.boot_id or entry.action in running:
                continue
            if entry.wall_ns <= incident.acknowledged_wall_ns:
                continue
            if entry.phase == "result":
                self._sync_result(incident, entry)
            elif entry.phase == "ack" and incident.state is State.GAVE_UP:
                self._acknowledge(incident, entry)

    def found(self, finding: Finding, world: World, history: History) -> None:
        """A confirmed finding: open its incident, or refresh it."""
        name = incident_id(world.machine.boot_id, finding.runtime, finding.culprit)
        known = self._incidents.get(name)
        if known is None:
            self._open(name, finding, world, history)
        elif known.state in (State.RECOVERED, State.CLEARED):
            incident = self._named(refreshed(replace(known, resolved_wall_ns=None), finding), world)
            self._move(incident, Happening.FOUND_AGAIN, "it stands still again")
        elif known.state in (State.CONFIRMED, State.GAVE_UP):
            self._put(self._named(refreshed(known, finding), world))

    # --- what follows from it ------------------------------------------------------

    def look(self, world: World, tracks: Tracks, found: set[str]) -> None:
        """Judge every open incident by this frame; `found` are those that still have a finding."""
        scanned = {scan.runtime for scan in world.scans}
        for incident in self.open():
            if incident.runtime not in scanned or incident.resolved_wall_ns is not None:
                continue
            if incident.state is State.VERIFYING:
                self._verify(incident, world, tracks)
            elif incident.state in (State.CONFIRMED, State.GAVE_UP) and incident.id not in found:
                self._check_subject(incident, world, tracks)

    def give_up(self, incident: Incident, reason: str, world: World) -> None:
        """Nothing is left that may be tried."""
        if incident.state in (State.CONFIRMED, State.VERIFYING):
            self._move(replace(incident, next=reason), Happening.NOTHING_LEFT, reason)

    def say_next(self, incident: Incident, sentence: str) -> None:
        """Note what happens next, or why nothing does."""
        if self._incidents[incident.id].next != sentence:
            self._put(replace(self._incidents[incident.id], next=sentence))

    def prune(self) -> None:
        """Forget the oldest of those whose story is over."""
        ended = [one.id for one in self._incidents.values() if one.resolved_wall_ns is not None]
        for name in ended[: max(0, len(ended) - ENDED_KEPT)]:
            del self._incidents[name]

    # --- inside ------------------------------------------------------------------------

    def _open(self, name: str, finding: Finding, world: World, history: History) -> None:
        causes = [one.value for one in HUNG_DECOMPRESSOR]
        hung = finding.cause in HUNG_DECOMPRESSOR
        incident = Incident(
            id=name,
            runtime=finding.runtime,
            cause=finding.cause,
            state=State.CONFIRMED,
            culprit=finding.culprit,
            evidence=finding.evidence,
            opened_wall_ns=world.wall_ns(finding.since_ns),
            confirmed_wall_ns=world.wall_ns(),
            recurrence=history.recurrences(finding.runtime, causes, name) if hung else 0,
        )
        incident = self._put(self._named(refreshed(incident, finding), world))
        text = "; ".join(one.text for one in incident.evidence)
        self.transitions.append(Transition(name, None, State.CONFIRMED.value, text))
        self._take_over_owed(incident, world)

    def _named(self, incident: Incident, world: World) -> Incident:
        """The incident with the pulls that it holds up, as far as they are known now."""
        attribution = attribute(world, incident.runtime, incident.blob)
        if not attribution.pulls:
            return incident
        return replace(incident, pulls=attribution.pulls, certain=attribution.certain)

    def _take_over_owed(self, incident: Incident, world: World) -> None:
        """A pull that an earlier kill owes hangs again: from now on it is this incident's."""
        digests = {pull.digest for pull in incident.pulls if pull.digest}
        for other in self.open():
            carried = [one.pull for one in other.owed if not one.satisfied and one.pull.digest in digests]
            if other.id == incident.id or other.state is not State.VERIFYING or not carried:
                continue
            incident = self._put(replace(incident, carried=(*incident.carried, *carried)))
            self._judge(other, Verdict.NOT_RECOVERED)
            reason = f"the next attempt hangs too: incident {incident.id}"
            self._end(self._incidents[other.id], State.GONE, reason, world)

    def _settle(self, incident: Incident, taken: ActionTaken) -> None:
        """An action's outcome is known: look whether it worked, or go on."""
        incident = self._put(replace(incident, looks=0))
        if incident.state is not State.ACTING:
            return
        freed = taken.outcome in (Outcome.DONE, Outcome.EXPIRED)
        if freed and taken.remedy != Remedy.SUBSTITUTE_DECOMPRESSOR.value:
            self._move(incident, Happening.ACTION_ENDED, f"{taken.remedy}: {taken.detail}")
        else:
            outcome = taken.outcome.value if taken.outcome else "unknown"
            self._move(incident, Happening.ACTION_LEFT_IT, f"{taken.remedy} {outcome}: {taken.detail}")

    def _sync_result(self, incident: Incident, entry: LedgerEntry) -> None:
        known = next((one for one in incident.actions if one.action == entry.action), None)
        if known is not None and known.outcome is not None:
            return
        taken = ActionTaken(entry.action, entry.remedy, entry.wall_ns, entry.outcome, entry.detail)
        incident = self._with(incident, taken)
        if entry.remedy == Remedy.KILL_DECOMPRESSOR.value and not incident.owed:
            incident = self._put(replace(incident, owed=owed_by_kill(incident)))
        if incident.state is State.CONFIRMED:
            incident = self._move(incident, Happening.ACTION_STARTED, entry.remedy)
        self._settle(incident, taken)

    def _acknowledge(self, incident: Incident, entry: LedgerEntry) -> None:
        fresh = replace(incident, acknowledged_wall_ns=entry.wall_ns, actions=(), resolved_wall_ns=None)
        self._move(fresh, Happening.ACKNOWLEDGED, f"acknowledged {entry.detail}".strip())

    def _verify(self, incident: Incident, world: World, tracks: Tracks) -> None:
        owed = follow_owed(incident, world, tracks)
        incident = self._put(replace(incident, looks=incident.looks + 1, owed=owed))
        judgement = verify(incident, world, tracks)
        if judgement is None:
            return
        incident = self._judge(incident, judgement.verdict)
        if judgement.verdict is Verdict.RECOVERED:
            self._end(incident, State.RECOVERED, judgement.reason, world)
        elif judgement.ended:
            self._end(incident, State.GONE, judgement.reason, world)
        else:
            self._move(incident, Happening.NO_PROGRESS, judgement.reason)

    def _check_subject(self, incident: Incident, world: World, tracks: Tracks) -> None:
        if tracks.ended(incident.runtime, incident.culprit.key):
            self._end(incident, State.GONE, "it ended without an action of ours", world)
        elif bytes_moved(incident, tracks):
            self._end(incident, State.CLEARED, "it moves again by itself", world)

    def _judge(self, incident: Incident, verdict: Verdict) -> Incident:
        self.verdicts.append((incident.id, verdict))
        return self._put(replace(incident, verification=verdict))

    def _end(self, incident: Incident, state: State, reason: str, world: World) -> None:
        """The subject's story is over.  A given-up incident stays given up until it is acknowledged."""
        if incident.resolved_wall_ns is None:
            incident = self._put(replace(incident, resolved_wall_ns=world.wall_ns(), next=reason))
        if incident.state is State.GAVE_UP:
            return
        happening = {
            State.RECOVERED: Happening.PROGRESS,
            State.CLEARED: Happening.PROGRESS,
            State.GONE: Happening.SUBJECT_ENDED,
        }[state]
        self._move(incident, happening, reason)

    def _move(self, incident: Incident, happening: Happening, reason: str) -> Incident:
        moved = incident.after(happening)
        if moved.state is not incident.state:
            self.transitions.append(Transition(incident.id, incident.state.value, moved.state.value, reason))
        return self._put(moved)

    def _with(self, incident: Incident, taken: ActionTaken) -> Incident:
        return self._put(with_action(incident, taken))

    def _put(self, incident: Incident) -> Incident:
        self._incidents[incident.id] = incident
        return incident

    def get(self, name: str) -> Optional[Incident]:
        """The incident of that id."""
        return self._incidents.get(name)
