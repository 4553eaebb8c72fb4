"""The incidents: opened by findings, moved by actions, ended by what is seen later.

Law: at most one incident a process; its id comes from the process, so a
restarted agent goes on with the same one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence, Tuple

from watchdog.core.causes.finding import HUNG_DECOMPRESSOR, Finding
from watchdog.core.extraction import Tracks
from watchdog.core.history import History
from watchdog.core.incident import (
    EFFECTIVE,
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
from watchdog.core.owed import asked_anew, begun, carrying, followed, without_effect
from watchdog.core.policy import MINUTE_NS, Remedy
from watchdog.core.progress import bytes_moved, is_same_pull
from watchdog.core.pull import attribute, waiting_for
from watchdog.core.record import from_record
from watchdog.core.recovery import LOOKS_WITHOUT, can_be_judged, verify_target, what_became
from watchdog.core.tick import Transition
from watchdog.core.transfer import Transfers
from watchdog.core.verification import Judgement, replaced_by, verify
from watchdog.core.world import World
from watchdog.errors import RecordingError

FOR_LATER = (Remedy.SUBSTITUTE_DECOMPRESSOR.value, Remedy.DUMP_GOROUTINES.value)  # these free nothing
_REMEDIES = frozenset(one.value for one in Remedy)  # the undoing of one is none of them
ENDED_KEPT = 50  # lately ended incidents that are still told
# An intent without a result for longer than any action may take: its end will not be told any more.
UNSETTLED_NS = 10 * MINUTE_NS
UNSETTLED_REPULL_NS = 150 * MINUTE_NS
# The states in which no action is under way, and one may be heard of all the same.
_AWAITED_NO_MORE = (State.CONFIRMED, State.GAVE_UP, State.GONE)
_MS_NS = 1_000_000  # a record keeps no finer times

# What the ledger may still correct: an action that runs, or one that ended without a word.
UNSETTLED = (None, Outcome.EXPIRED)


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

    def remember(self, records: List[Any], world: World) -> None:
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
                if incident.state is State.ACTING:
                    incident = self._move(incident, Happening.ACTION_LEFT_IT, "the machine was restarted")
                self._end(incident, State.GONE, "it was of another boot", world)

    def started(self, seen: ActionStarted, world: World) -> None:
        """An action of this incident has begun."""
        incident = self._incidents.get(seen.incident)
        if incident is not None and seen.remedy in _REMEDIES:
            self._begin(incident, ActionTaken(seen.action, seen.remedy, world.wall_ns()))

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
        whose beginning or end the agent did not live to see."""
        if not world.ledger.usable:
            return
        ended = {one.action for one in world.ledger.entries if one.phase == "result"}
        for entry in world.ledger.entries:
            incident = self._incidents.get(entry.incident)
            if incident is None or not _concerns(entry, incident, world):
                continue
            if entry.phase == "result":
                self._sync_result(incident, entry)
            elif entry.phase == "intent" and entry.action not in ended:
                self._sync_intent(incident, entry, world)
            elif entry.phase == "ack" and incident.state is State.GAVE_UP:
                self._acknowledge(incident, entry)
        for incident in self.open():
            self._forget_unbegun(incident, world)

    def found(self, finding: Finding, world: World, history: History) -> None:
        """A confirmed finding: open its incident, or refresh it."""
        name = incident_id(world.machine.boot_id, finding.runtime, finding.name)
        known = self._incidents.get(name)
        if known is None:
            self._open(name, finding, world, history)
        elif known.state in (State.RECOVERED, State.CLEARED) or _is_back(finding, known):
            if known.state is State.RECOVERED and _is_older(finding, known, world):
                return
            anew = replace(known, resolved_wall_ns=None, verification=None)
            incident = self._refresh(anew, finding, world, history)
            self._move(incident, Happening.FOUND_AGAIN, "it stands still again")
        elif known.state in (State.CONFIRMED, State.GAVE_UP):
            self._refresh(replace(known, resolved_wall_ns=None), finding, world, history)

    # --- what follows from it ------------------------------------------------------

    def look(self, world: World, tracks: Tracks, transfers: Transfers, found: set[str]) -> None:
        """Judge every open incident by this frame; `found` are those that still have a finding."""
        scanned = {scan.runtime for scan in world.scans}
        for incident in self.open():
            if incident.resolved_wall_ns is not None:
                continue
            if incident.target is not None:
                if can_be_judged(incident.target, incident.runtime, transfers, world.now_ns):
                    self._look_at_target(incident, world, transfers, incident.id in found)
            elif incident.runtime not in scanned:
                continue
            elif incident.state is State.VERIFYING:
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
        incident = Incident(
            id=name,
            runtime=finding.runtime,
            cause=finding.cause,
            state=State.CONFIRMED,
            culprit=finding.culprit,
            evidence=finding.evidence,
            subject=finding.subject,
            opened_wall_ns=world.wall_ns(finding.since_ns),
            confirmed_wall_ns=world.wall_ns(),
        )
        incident = self._refresh(incident, finding, world, history)
        text = "; ".join(one.text for one in incident.evidence)
        self.transitions.append(Transition(name, None, State.CONFIRMED.value, text))
        self._take_over_owed(incident, world)

    def _refresh(self, incident: Incident, finding: Finding, world: World, history: History) -> Incident:
        """The incident as this tick's finding shows it; a fault that came back is known as such."""
        incident = carrying(_named(refreshed(incident, finding), world, finding.images))
        if finding.cause in HUNG_DECOMPRESSOR and not incident.recurrence:
            causes = [one.value for one in HUNG_DECOMPRESSOR]
            recurrence = history.recurrences(finding.runtime, causes, incident.id)
            incident = replace(incident, recurrence=recurrence)
        return self._put(incident)

    def _take_over_owed(self, incident: Incident, world: World) -> None:
        """A pull that an earlier kill owes hangs again: from now on it is this incident's."""
        if incident.target is not None:
            return  # a fault of the network has ended no pull: the kill's incident still owes it
        for other in self.open():
            unsatisfied = (one.pull for one in other.owed if not one.satisfied)
            carried = [one for one in unsatisfied if any(is_same_pull(one, pull) for pull in incident.pulls)]
            if other.id == incident.id or other.state is not State.VERIFYING or not carried:
                continue
            incident = self._put(replace(incident, carried=(*incident.carried, *carried)))
            self._judge(other, Verdict.NOT_RECOVERED)
            reason = f"the next attempt hangs too: incident {incident.id}"
            self._end(self._incidents[other.id], State.GONE, reason, world)

    def _settle(self, incident: Incident, taken: ActionTaken) -> None:
        """An action's outcome is known: look whether it worked, or go on."""
        freed = taken.outcome in EFFECTIVE
        if not freed:
            incident = without_effect(incident, taken)
        incident = self._put(replace(incident, looks=0))
        if incident.state is not State.ACTING or incident.running:
            return
        if freed and taken.remedy not in FOR_LATER:
            self._move(incident, Happening.ACTION_ENDED, f"{taken.remedy}: {taken.detail}")
        else:
            outcome = taken.outcome.value if taken.outcome else "unknown"
            self._move(incident, Happening.ACTION_LEFT_IT, f"{taken.remedy} {outcome}: {taken.detail}")

    def _sync_result(self, incident: Incident, entry: LedgerEntry) -> None:
        known = next((one for one in incident.actions if one.action == entry.action), None)
        if known is not None and (known.outcome not in UNSETTLED or known.outcome is entry.outcome):
            return
        if known is None:
            known = ActionTaken(entry.action, entry.remedy, entry.wall_ns)
            incident = self._begin(incident, known)
        elif entry.outcome is Outcome.DONE and incident.state in _AWAITED_NO_MORE:
            incident = self._begin(incident, known)  # made after all, when nobody waited for it any more
        taken = replace(known, outcome=entry.outcome, detail=entry.detail)
        self._settle(self._with(incident, taken), taken)

    def _sync_intent(self, incident: Incident, entry: LedgerEntry, world: World) -> None:
        """An action whose end nobody has written down: under way, or cut short."""
        is_repull = entry.remedy == Remedy.REPULL.value
        if world.wall_ns() - entry.wall_ns > (UNSETTLED_REPULL_NS if is_repull else UNSETTLED_NS):
            detail = "nobody has written down how it ended"
            self._sync_result(incident, replace(entry, outcome=Outcome.EXPIRED, detail=detail))
        elif all(one.action != entry.action for one in incident.actions):
            self._begin(incident, ActionTaken(entry.action, entry.remedy, entry.wall_ns))

    def _begin(self, incident: Incident, taken: ActionTaken) -> Incident:
        """An action is under way: from now on it owes what it may end."""
        incident = self._put(begun(with_action(incident, taken), taken))
        # Gone before the ledger told of it: an action that an earlier agent has left under way.
        if incident.state in _AWAITED_NO_MORE:
            incident = self._put(replace(incident, resolved_wall_ns=None))
            incident = self._move(incident, Happening.ACTION_STARTED, taken.remedy)
        return incident

    def _forget_unbegun(self, incident: Incident, world: World) -> None:
        """An action that the last agent meant to start, and that never wrote its intent."""
        written = {one.action for one in world.ledger.entries}
        unbegun = [one for one in incident.running if one.action not in {*world.in_flight, *written}]
        if not unbegun:
            return
        kept = tuple(one for one in incident.actions if one not in unbegun)
        incident = self._put(asked_anew(replace(incident, actions=kept)))
        if incident.state is State.ACTING and not incident.running:
            self._move(incident, Happening.ACTION_LEFT_IT, "the agent was restarted before it began")

    def _acknowledge(self, incident: Incident, entry: LedgerEntry) -> None:
        fresh = replace(incident, acknowledged_wall_ns=entry.wall_ns, actions=(), resolved_wall_ns=None)
        self._move(fresh, Happening.ACKNOWLEDGED, f"acknowledged {entry.detail}".strip())

    def _verify(self, incident: Incident, world: World, tracks: Tracks) -> None:
        incident = self._put(followed(replace(incident, looks=incident.looks + 1), world, tracks))
        self._follow(incident, verify(incident, world, tracks), world)

    def _follow(self, incident: Incident, judgement: Optional[Judgement], world: World) -> None:
        """Take the verdict on the last action, if it can be said already."""
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
        elif replaced_by(incident, world) is not None:
            self._end(incident, State.GONE, "its runtime was replaced by another process", world)
        elif bytes_moved(incident, tracks):
            self._end(incident, State.CLEARED, "it moves again by itself", world)

    def _look_at_target(self, incident: Incident, world: World, transfers: Transfers, found: bool) -> None:
        if incident.state is State.ACTING or (found and incident.state is not State.VERIFYING):
            return
        incident = self._put(replace(incident, looks=incident.looks + 1))
        if incident.state is State.VERIFYING:
            self._follow(incident, verify_target(incident, world, transfers), world)
        elif incident.looks >= LOOKS_WITHOUT:
            there, reason = what_became(incident, world, transfers)
            self._end(incident, State.CLEARED if there else State.GONE, reason, world)

    def _judge(self, incident: Incident, verdict: Verdict) -> Incident:
        self.verdicts.append((incident.id, verdict))
        return self._put(replace(incident, verification=verdict))

    def _end(self, incident: Incident, state: State, reason: str, world: World) -> None:
        """The subject's story is over.  A given-up incident stays given up until it is acknowledged."""
        if incident.state is State.GAVE_UP:
            self._put(replace(incident, resolved_wall_ns=world.wall_ns()))
            return
        incident = replace(incident, resolved_wall_ns=world.wall_ns(), next=reason)
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


def _concerns(entry: LedgerEntry, incident: Incident, world: World) -> bool:
    """True for what happened to this incident, and that no observation tells of."""
    moment = entry.wall_ns // _MS_NS
    is_new = (
        moment > incident.acknowledged_wall_ns // _MS_NS and moment >= incident.confirmed_wall_ns // _MS_NS
    )
    return is_new and entry.boot_id == world.machine.boot_id and entry.action not in world.in_flight


def _is_back(finding: Finding, known: Incident) -> bool:
    """A process that was taken for ended is there after all; a layer's file that is new is another one."""
    return known.state is State.GONE and finding.target is None


def _is_older(finding: Finding, known: Incident, world: World) -> bool:
    """What shows it began before it was over: lines that are not forgotten yet."""
    ended_ns = known.resolved_wall_ns or 0
    return finding.target is not None and world.wall_ns(finding.since_ns) <= ended_ns


def _named(incident: Incident, world: World, images: Sequence[str]) -> Incident:
    """The incident with the pulls that it holds up, as far as they are known now."""
    if incident.target is not None:
        attribution = waiting_for(world, incident.runtime, images)
    else:
        attribution = attribute(world, incident.runtime, incident.blob)
    if attribution.pulls:
        return replace(incident, pulls=attribution.pulls, certain=attribution.certain)
    scan = world.clients.get(incident.runtime)
    connected = {one.key for one in scan.clients if one.connected} if scan else set()
    pulls = tuple(replace(one, connected=one.client in connected) for one in incident.pulls)
    return replace(incident, pulls=pulls)
