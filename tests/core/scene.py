"""A machine, the engine that watches it, and the hand that carries out what it decides.

`tick` lets a second pass, hands the engine one frame and, where `acts`, does
what the act process would do: intent, effect, result, and word of both ends
with the next frame.  Everything is kept: `frames`, `ticks`, the ledger.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Optional, Set, Tuple

from tests.core.machine import MIB, Machine
from watchdog.core.engine import Engine
from watchdog.core.observation import (
    ActionFinished,
    ActionStarted,
    Api,
    Frame,
    IncidentRemembered,
    LedgerEntry,
    LedgerSeen,
    MachineSeen,
    Observation,
    OperatorSeen,
    Outcome,
    PolicySeen,
    ProcessKey,
    RuntimeSeen,
    Sight,
)
from watchdog.core.policy import DEFAULT_ON, SECOND_NS, Mode, Policy, Remedy
from watchdog.core.tick import Call, Decision, Tick

WALL_NS = 1_700_000_000_000_000_000  # the wall clock at monotonic 0
Record = Dict[str, Any]


def enforce(*more: Remedy, **fields: Any) -> Policy:
    """The default policy in enforce mode, with more remedies switched on."""
    return Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON | set(more), **fields)


class Scene(Machine):
    """`acts` False: decisions are only told.

    `outcomes`: how the acts of a remedy end, if not DONE; None: their process dies after the
    intent, so the ledger has no result and the agent hears no word of it.
    `takes`: after how many more looks an act ends; 0: with the look that shows it started.
    `blind`: kinds of observation that no sensor brings at the moment.
    """

    def __init__(self, policy: Optional[Policy] = None, acts: bool = True) -> None:
        super().__init__()
        self.policy = policy or enforce()
        self.acts = acts
        self.outcomes: Dict[str, Optional[Outcome]] = {}
        self.boot_id = "boot-1"
        self.now_ns = 1000 * SECOND_NS
        self.ledger = LedgerSeen(usable=True)
        self.operator = OperatorSeen()
        self.sight = Sight.FULL
        self.blind: Set[type] = set()
        self.engine = Engine()
        self.frames: List[Frame] = []
        self.ticks: List[Tick] = []
        self.effects: List[Tuple[str, int]] = []  # (remedy, pid of the culprit)
        self._standing: Dict[type, Observation] = {}
        self._policy_told = (self.policy, PolicySeen(self.policy.to_json()))
        self._actions = 0
        self.takes = 0
        self._ends: List[Tuple[int, ActionFinished]] = []

    @property
    def wall_ns(self) -> int:
        return WALL_NS + self.now_ns

    # --- time ------------------------------------------------------------------------------------

    def tick(self, count: int = 1, seconds: float = 1.0) -> Tick:
        """Look that many times, so many seconds apart; the last tick."""
        for _ in range(count):
            self.now_ns += int(seconds * SECOND_NS)
            self.advance(seconds)
            self.step(self.observe())
        return self.ticks[-1]

    def step(self, observations: List[Observation]) -> Tick:
        """Hand the engine one frame, and carry out what it decides."""
        self.frames.append(Frame(self.now_ns, tuple(observations)))
        self.ticks.append(self.engine.step(self.frames[-1]))
        for decision in self.ticks[-1].decisions:
            if self.acts and decision.call is Call.ACT:
                self.carry_out(decision)
        return self.ticks[-1]

    def until(self, state: str, within: int = 90) -> Record:
        """Tick until an incident is in that state; its record."""
        for _ in range(within):
            if any(record["state"] == state for record in self.tick().incidents):
                return next(record for record in self.ticks[-1].incidents if record["state"] == state)
        raise AssertionError(f"no incident is {state} after {within} s: {self.story}")

    def observe(self) -> List[Observation]:
        """What the sensors bring now: what explains the rest comes first, the scans last."""
        seen: List[Observation] = [MachineSeen(self.boot_id, self.wall_ns, self.now_ns)]
        for one in self._what_stands():
            if self._standing.get(type(one)) != one and type(one) not in self.blind:
                self._standing[type(one)] = one
                seen.append(one)
        news = self.news + [end for at, end in self._ends if at <= len(self.frames)]
        self.news, self._ends = [], [one for one in self._ends if one[0] > len(self.frames)]
        seen += [*news, self.client_scan(), self.scan()]
        return [one for one in seen if type(one) not in self.blind]

    def _what_stands(self) -> List[Observation]:
        """What is told when it changes."""
        daemon = self.daemon
        runtime = RuntimeSeen(
            self.runtime, "docker", daemon.key, daemon.exe, Api.ANSWERS, self.sight, version="20.10.24"
        )
        if self.policy is not self._policy_told[0]:
            self._policy_told = (self.policy, PolicySeen(self.policy.to_json()))
        return [self._policy_told[1], self.ledger, self.operator, runtime]

    def restart_agent(self) -> None:
        """A new engine, with what the old one has left: its records, the ledger, and the machine."""
        records = self.ticks[-1].incidents if self.ticks else ()
        remembered = [IncidentRemembered(json.dumps(one)) for one in records]
        news = [one for one in self.news if not isinstance(one, (ActionStarted, ActionFinished))]
        self._ends = []
        self.news = [*remembered, *self.manifests, *[one for one in news if one not in self.manifests]]
        self.engine = Engine()
        self._standing.clear()

    # --- what came of it -------------------------------------------------------------------------

    @property
    def story(self) -> List[str]:
        """The states that incidents came into, in order."""
        return [one.new for tick in self.ticks for one in tick.transitions]

    @property
    def decided(self) -> List[str]:
        """The remedies that were decided on, in order."""
        return [one.remedy or "" for one in self.decisions(Call.ACT)]

    def decisions(self, call: Call) -> List[Decision]:
        """All decisions of that kind, in order."""
        return [one for tick in self.ticks for one in tick.decisions if one.call is call]

    @property
    def verdicts(self) -> List[str]:
        """What was said of actions, in order."""
        return [verdict for tick in self.ticks for _, verdict in tick.verdicts]

    @property
    def incidents(self) -> List[Record]:
        """The records of the last tick, oldest first."""
        return list(self.ticks[-1].incidents)

    @property
    def incident(self) -> Record:
        """The newest incident's record."""
        return self.incidents[-1]

    @property
    def decision(self) -> Decision:
        """The last decision of the last tick."""
        return self.ticks[-1].decisions[-1]

    # --- the act process -------------------------------------------------------------------------

    def carry_out(self, decision: Decision) -> None:
        """From the lock to the result."""
        remedy = decision.remedy or ""
        if decision.undo:
            self.undo(decision)
            return
        self._actions += 1
        action = f"{remedy}-{self._actions}"
        outcome = self.outcomes.get(remedy, Outcome.DONE)
        if remedy == "repull" and not self.owed(decision.incident):
            outcome = Outcome.REFUSED
        self.news.append(ActionStarted(action, decision.incident, remedy))
        if outcome is not Outcome.REFUSED:
            self.write(action, "intent", decision.incident, remedy)
            if outcome is Outcome.DONE:
                self.effect(remedy, decision.incident)
            if outcome is not None:
                self.write(action, "result", decision.incident, remedy, outcome)
        told = outcome or Outcome.EXPIRED
        end = ActionFinished(action, decision.incident, remedy, told, f"it is {told.value}")
        self._ends.append((len(self.frames) + self.takes, end))

    def undo(self, decision: Decision) -> None:
        """What `revert` does."""
        name, remedy = f"undo-{decision.undo}", f"undo_{decision.remedy}"
        self.substituted = False
        self.news.append(ActionStarted(name, decision.incident, remedy))
        self.write(decision.undo or "", "revert", decision.incident, decision.remedy or "", Outcome.DONE)
        self.news.append(ActionFinished(name, decision.incident, remedy, Outcome.DONE))

    def effect(self, remedy: str, incident: str) -> None:
        """What the remedy does to the machine."""
        record = self.record(incident)
        pid = record["culprit"]["pid"]
        self.effects.append((remedy, pid))
        if remedy == "resume":
            self.continued(pid)
        elif remedy == "kill_decompressor":
            self.killed({pid} | {one["pid"] for one in record["decompressor"]})
        elif remedy == "substitute_decompressor":
            self.substituted = True
        elif remedy in ("restart_runtime", "disable_pigz"):
            self.restart_runtime()
        elif remedy == "repull":
            for pull in self.owed(incident):
                self.repull(pull["image"], pull["digest"])

    def owed(self, incident: str) -> List[Record]:
        """The pulls that a repull brings back: by digest only, so never something newer."""
        pulls = self.record(incident)["cost"]["pulls"]
        return [one for one in pulls if one["owed"] and one["owed"]["repull"] and one["digest"]]

    def repull(self, image: str, digest: str) -> None:
        """The image is pulled again, and comes to the last part of its first layer."""
        size = next(one.layers[0].size_bytes for one in self.manifests if one.digest == digest)
        for one in self.extractions:
            if one.blob and one.blob.size_bytes == size:
                one.also.append(image)  # a layer is extracted once for all who wait for it
                return
        self.extract(image, size, digest).move(max(0, size - 60 * MIB))

    def write(
        self,
        action: str,
        phase: str,
        incident: str,
        remedy: str,
        outcome: Optional[Outcome] = None,
        **more: Any,
    ) -> None:
        """Add a line to the ledger."""
        record = self.record(incident)
        lasting = remedy == "substitute_decompressor" and phase != "revert"
        fields: Dict[str, Any] = {
            "wall_ns": self.wall_ns,
            "boot_id": self.boot_id,
            "cause": record["cause"],
            "runtime": self.runtime,
            "culprit": ProcessKey(record["culprit"]["pid"], record["culprit"]["start_ticks"]),
        }
        if lasting:
            expires = self.wall_ns + self.policy.expiries_ns[Remedy.SUBSTITUTE_DECOMPRESSOR]
            fields.update(culprit=None, expires_wall_ns=expires)
        entry = LedgerEntry(
            action=action,
            phase=phase,
            incident=incident,
            remedy=remedy,
            outcome=outcome,
            **{**fields, **more},
        )
        self.ledger = replace(self.ledger, entries=(*self.ledger.entries, entry))

    def acknowledge(self, incident: str) -> None:
        """A person's `ack`."""
        self.write(f"ack-{len(self.ledger.entries)}", "ack", incident, "")

    def record(self, incident: str) -> Record:
        """What the newest tick that knows it says of an incident."""
        for tick in reversed(self.ticks):
            for record in tick.incidents:
                if record["id"] == incident:
                    return dict(record)
        raise AssertionError(f"no incident {incident}")
