"""One step of the core: a frame of observations in, a Tick out.

The laws that hold for everything below `core`:

1. Same recording, same ticks: no clock, randomness or set order.
2. Losing a sensor moves a verdict only towards unknown, never towards hung.  A
   wait counts samples; a gap of more than three ticks starts it anew.
3. Nothing is done without a confirmed incident that rests on two independent
   kinds of evidence.  A log line alone confirms nothing.
4. One action in flight on a host; each has a deadline, a cool-down, a number of
   attempts; then it is given up, loudly.
5. Recovered only by progress seen after the action.
6. Two ladders: freeing, the mildest first; preventing, only for what came back.
7. Killed and restarted at any point the agent converges; the ledger knows.
8. Slow is not hung: whatever still moves is left alone.
9. What is not ours is not touched; ambiguous is refused.
10. The watchdog is never the hang.
"""

from __future__ import annotations

from typing import Dict, List, Set, Tuple

from watchdog.core.casebook import Casebook
from watchdog.core.causes import Finding, find
from watchdog.core.causes.finding import FOR_PEOPLE, STANDSTILLS
from watchdog.core.causes.network import find_network
from watchdog.core.decision import (
    LADDERS,
    Act,
    Choice,
    Refuse,
    Wait,
    as_decision,
    budget_of,
    decide,
    decide_undo,
)
from watchdog.core.demand import Arrivals
from watchdog.core.extraction import Tracks
from watchdog.core.history import History
from watchdog.core.incident import Incident, State, incident_id
from watchdog.core.mirror import bypassed
from watchdog.core.observation import Frame
from watchdog.core.pull import by_digest
from watchdog.core.record import to_record
from watchdog.core.recovery import can_be_judged
from watchdog.core.streak import Streaks
from watchdog.core.tick import Call, Decision, Tick
from watchdog.core.transfer import Transfers
from watchdog.core.views import pull_views, sentence, stage_views
from watchdog.core.world import World


class Engine:
    """The core's state between steps: the world, the tracks and the incidents."""

    def __init__(self) -> None:
        self.world = World()
        self.tracks = Tracks(self.world.policy.tick_ns)
        self.streaks = Streaks()
        self.casebook = Casebook()
        self.transfers = Transfers(self.world.policy.tick_ns)
        self._arrivals = Arrivals()
        self._findings: Dict[str, List[Finding]] = {}  # by runtime, of its newest scan
        self._network: Dict[str, List[Finding]] = {}  # by runtime, of this tick
        self._told: Dict[str, Tuple[Incident, Dict[str, object]]] = {}

    def step(self, frame: Frame) -> Tick:
        """Take in what was seen, judge it, decide, and say so."""
        self.casebook.begin()
        self.world.apply(frame)
        self.tracks.tick_ns = self.transfers.tick_ns = self.world.policy.tick_ns
        history = History(self.world.ledger.entries, self.world.wall_ns())
        self._take_actions()
        self._find()
        self._find_network()
        for finding in self._news():
            if finding.confirmed:
                self.casebook.found(finding, self.world, history)
        if self.world.ledger_was_read:  # else an end that our own action made would look like another's
            found = self._found_ids(confirmed=False)
            self.casebook.look(self.world, self.tracks, self.transfers, found)
        decisions = self._decide(history)
        self.casebook.prune()
        return self._tick(tuple(decisions), history)

    def _take_actions(self) -> None:
        self.casebook.remember(self.world.remembered, self.world)
        for started in self.world.started:
            self.casebook.started(started, self.world)
        for finished in self.world.finished:
            self.casebook.finished(finished)
        self.casebook.sync(self.world)

    def _find(self) -> None:
        """Judge every scan; of several of one runtime in one frame, the last one counts."""
        now_ns, limits = self.world.now_ns, self.world.policy.thresholds
        for scan in self.world.scans:
            self.tracks.update(scan, now_ns)
            found = find(scan, self.tracks, limits, self.world.stops)
            self._findings[scan.runtime] = self.streaks.count(scan.runtime, found, now_ns)

    def _find_network(self) -> None:
        """Follow the transfers, and judge them; a runtime that is stopped explains its own silence."""
        for event in self.world.connection_events:
            self.transfers.note_event(event)
        for line in self.world.lines:
            self.transfers.note_line(line, self.world.now_ns)
        for scan in self.world.transfers:
            self.transfers.update(scan, self.world.now_ns)
        for runtime in self.world.runtimes:
            demand = self._arrivals.demand(self.world, runtime)
            stands = any(one.cause in STANDSTILLS for one in self._findings.get(runtime, []))
            found = [] if stands else find_network(runtime, self.world, self.transfers, demand)
            self._network[runtime] = found

    def _news(self) -> List[Finding]:
        """The findings of the scans of this frame, and of this tick."""
        scanned = dict.fromkeys(scan.runtime for scan in self.world.scans)
        found = [one for runtime in scanned for one in self._findings[runtime]]
        return found + [one for network in self._network.values() for one in network]

    def _all(self) -> List[Finding]:
        """What the newest looks have found, of this frame or before."""
        newest = (*self._findings.values(), *self._network.values())
        return [one for found in newest for one in found]

    def _found_ids(self, confirmed: bool) -> Set[str]:
        """The incidents that the newest looks have a finding for, or a confirmed one."""
        boot = self.world.machine.boot_id
        return {
            incident_id(boot, one.runtime, one.name) for one in self._all() if one.confirmed or not confirmed
        }

    def _decide(self, history: History) -> List[Decision]:
        decisions: List[Decision] = []
        acting = False
        hung = self._found_ids(confirmed=True)
        for incident in self.casebook.open():
            if incident.state not in (State.CONFIRMED, State.VERIFYING):
                continue
            choice = self._choose(incident, hung, history)
            if isinstance(choice, Act) and acting:
                choice = Wait(f"would {choice.remedy.value}, but another action comes first")
            decision = as_decision(incident, choice, self.world.policy.mode)
            acting = acting or decision.call is Call.ACT
            decisions.append(decision)
            self._note(incident, choice, decision)
        undo = None if acting else decide_undo(self.world, history)
        return decisions + ([undo] if undo else [])

    def _choose(self, incident: Incident, hung: Set[str], history: History) -> Choice:
        """What to do, if it is seen at this moment that there is something to do."""
        target, now_ns = incident.target, self.world.now_ns
        if target is None and not self.tracks.fresh(incident.runtime, now_ns):
            return Wait("the extraction is not seen at the moment: unknown")
        if target is not None and not can_be_judged(target, incident.runtime, self.transfers, now_ns):
            return Wait("its connections are not seen at the moment: unknown")
        if incident.state is State.CONFIRMED and incident.id not in hung:
            return Wait("it is not seen to stand still at the moment: unknown")
        return decide(incident, self.world, history)

    def _note(self, incident: Incident, choice: Choice, decision: Decision) -> None:
        what = f"{decision.call.value} {decision.remedy}" if decision.remedy else decision.call.value
        self.casebook.say_next(incident, f"{what}: {choice.reason}")
        if isinstance(choice, Refuse) and choice.final:
            self.casebook.give_up(incident, choice.reason, self.world)

    def _tick(self, decisions: Tuple[Decision, ...], history: History) -> Tick:
        findings = self._all()
        records, changed = self._records()
        pulls = pull_views(self.world, self.tracks, self.transfers)
        open_ = [one for one in self.casebook.open() if one.cause not in FOR_PEOPLE]
        unresolved = any(one.resolved_wall_ns is None for one in open_)
        busy = any(self.tracks.pipelines.values()) or unresolved or bool(pulls) or self.world.pushing()
        return Tick(
            now_ns=self.world.now_ns,
            sentence=sentence(self.casebook, pulls, findings),
            incidents=records,
            changed=changed,
            transitions=tuple(self.casebook.transitions),
            decisions=decisions,
            pulls=pulls,
            stages=stage_views(self.tracks),
            sensors=tuple(self.world.sensors.values()),
            runtimes=tuple(self.world.runtimes.values()),
            budgets=self._budgets(history),
            verdicts=tuple((name, verdict.value) for name, verdict in self.casebook.verdicts),
            awaited=self._awaited(),
            bypassed=bypassed(history),
            paused=self.world.operator.pause_reason if self.world.paused() else "",
            inhibited="inhibited" if self.world.operator.inhibited else "",
            active=busy or any(one.cause not in FOR_PEOPLE for one in findings),
        )

    def _records(self) -> Tuple[Tuple[Dict[str, object], ...], Tuple[str, ...]]:
        """The records of all incidents, and the ids of those that differ from the last tick's.

        An incident that nothing happened to is the same object, and has the same record.
        """
        told, changed = self._told, []
        self._told = {}
        for one in self.casebook.all:
            before = told.get(one.id)
            if before is None or before[0] is not one:
                record = to_record(one, self.world.machine.boot_id)
                if before is None or before[1] != record:
                    changed.append(one.id)
                before = (one, record)
            self._told[one.id] = before
        return tuple(record for _, record in self._told.values()), tuple(changed)

    def _budgets(self, history: History) -> Tuple[Tuple[str, str, int], ...]:
        policy = self.world.policy
        return tuple(
            (
                remedy.value,
                cause.value,
                history.remaining(remedy, cause.value, budget_of(policy, remedy)),
            )
            for cause, ladder in LADDERS.items()
            for remedy in ladder
            if remedy in policy.remedies_on
        )

    def _awaited(self) -> Tuple[Tuple[str, str], ...]:
        """The images that a verification waits for, as (runtime, REPOSITORY@DIGEST)."""
        waiting = (one for one in self.casebook.open() if one.state is State.VERIFYING)
        names = [(one.runtime, by_digest(pull)) for one in waiting for pull in one.pulls + one.carried]
        return tuple(dict.fromkeys((runtime, name) for runtime, name in names if name))
