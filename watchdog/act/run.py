"""One action from its order to its result: the only way to an effect.

Law: the order of the steps is what makes a kill at any point harmless.

    lock -> ledger -> settle what was cut short -> plan -> intent on disk
         -> effect -> result on disk

| killed              | what is left                   | what the next run does                   |
|---------------------|--------------------------------|------------------------------------------|
| before the intent   | nothing                        | acts                                     |
| after the intent    | an intent; `trace` finds NONE  | closes it as refused, then acts          |
| after the effect    | an intent; `trace` finds MADE  | closes it as done, does not act again    |
| where nobody can see| an intent; `trace` UNKNOWN     | closes it as expired, does not act again |
| after the result    | both                           | what the remedy and its budget say       |

How each remedy's `trace` knows, without a word from the killed process:

| remedy                  | NONE when                                                  |
|-------------------------|------------------------------------------------------------|
| resume                  | still stopped, and not switched in since the intent        |
| kill_decompressor       | every target alive without a pending SIGKILL               |
| substitute_decompressor | the runtime would still execute the original               |
| repull                  | an image is missing and no pull is under way               |
| restart_runtime         | the old process lives and no restart command is at work    |
| disable_pigz            | as restart_runtime                                         |
| reset_connection        | the runtime still has the socket of that cookie            |
| route_around            | its line is not in the file of host names                  |
| dump_goroutines         | no file of stacks lies there that did not before           |
| bypass_mirror           | the file holds the old list, or the new one is put back    |
| fewer_parallel          | the file holds the old number, or the new one is put back  |
| more_attempts           | as restart_runtime                                         |
| restart_p2p             | the old process lives                                      |
| raise_p2p_timeout       | its file is as it was, or the old process lives            |

PULL_WATCHDOG_TEST_CRASH=[REMEDY:]before_intent|after_intent|after_effect|after_result
makes this process kill itself there; it exists for the tests of this table.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field, replace
from typing import Any, List, Mapping, Optional
from uuid import uuid4

from watchdog.act import gate, lock, record
from watchdog.act.gate import Who
from watchdog.act.ledger import Ledger, unfinished
from watchdog.act.remedies import code_of
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace, memory_json
from watchdog.act.settings import ActSettings, settings_for
from watchdog.config import Config
from watchdog.core.history import History
from watchdog.core.observation import LedgerEntry, Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import LedgerError, Refused, WatchdogError
from watchdog.host import proc

_SETTLED = {
    Trace.NONE: Made(Outcome.REFUSED, "cut short before it began: nothing was touched"),
    Trace.MADE: Made(Outcome.DONE, "cut short after it was made; seen when it was looked at again"),
    Trace.UNKNOWN: Made(Outcome.EXPIRED, "cut short; whether it was made cannot be seen: it is not repeated"),
}


@dataclass(frozen=True)
class Result:
    """How an action ended, for people and as JSON.

    `steps`: what a dry run would have done.
    """

    action: str
    remedy: str
    incident: str
    outcome: Outcome
    detail: str
    dry_run: bool = False
    steps: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line."""
        return json.dumps({**vars(self), "outcome": self.outcome.value, "extra": dict(self.extra)})


def new_action_id(remedy: Remedy) -> str:
    """A name for one action, e.g. "resume-1a2b3c4d"."""
    return f"{remedy.value}-{uuid4().hex[:8]}"


def run_remedy(
    config: Config,
    remedy: Remedy,
    incident_id: str,
    dry_run: bool = False,
    who: Who = Who.PERSON,
    action: Optional[str] = None,
) -> Result:
    """Do what a remedy is for, or say why not; never raises a WatchdogError.

    `dry_run` looks and says what would be done; it takes no lock and writes nothing.
    """
    name = action or new_action_id(remedy)
    try:
        seen = record.load(config.run_dir, incident_id)
        settings = settings_for(config, seen.incident.runtime)
        one = Action(settings, code_of(remedy), seen, name, who)
        if dry_run:
            return one.rehearse()
        with lock.hold(config.run_dir, remedy.value, name, settings.lock_wait_s) as held:
            return one.perform(held)
    except WatchdogError as error:
        # Whatever is raised up to here was raised before the intent: nothing was touched.
        return Result(name, remedy.value, incident_id, Outcome.REFUSED, str(error), dry_run)


def settle_all(config: Config) -> List[str]:
    """Write the result of every action that was cut short; one sentence for each.

    For a new agent: what its predecessor's actions have done is then in the ledger.
    """
    with lock.hold(config.run_dir, "settle", "settle", wait_s=5.0):
        return [_settled(config, intent) for intent in unfinished(Ledger(config.state_dir).read())]


def _settled(config: Config, intent: LedgerEntry) -> str:
    try:
        if intent.boot_id != proc.boot_id():  # that machine's processes are gone, and its records
            Ledger(config.state_dir).append(_result_of(intent, _SETTLED[Trace.UNKNOWN]))
            return f"{intent.action} was cut short by a restart of the machine"
        seen = record.load(config.run_dir, intent.incident)
        settings = settings_for(config, seen.incident.runtime)
        action = Action(settings, code_of(Remedy(intent.remedy)), seen, intent.action, Who.AGENT)
        return f"{intent.action} was {action.settle(intent).detail}"
    except WatchdogError as error:
        return f"{intent.action} cannot be settled: {error}"


class Action:
    """One action on one incident."""

    def __init__(
        self, settings: ActSettings, code: RemedyCode[Any], seen: record.Record, name: str, who: Who
    ) -> None:
        self._settings = settings
        self._code = code
        self._seen = seen
        self._name = name
        self._who = who
        self._ledger = Ledger(settings.state_dir)

    def rehearse(self) -> Result:
        """What `perform` would do now."""
        plan = self._plan(self._context())
        result = self._result(Made(Outcome.DONE, "nothing was done: a dry run"))
        return replace(result, dry_run=True, steps=plan.steps)

    def perform(self, held: lock.Held) -> Result:
        """Act, with the lock held.  Raises WatchdogError only before the intent is written."""
        self._check_name()
        earlier = self._settle_earlier()
        if earlier is not None:
            return self._result(earlier)
        context = replace(self._context(), watching=held.release)
        plan = self._plan(context)
        self._crash_point("before_intent")
        intent = self._entry("intent", plan)
        self._ledger.append(intent)
        self._crash_point("after_intent")
        made = self._effect(context, plan)
        self._crash_point("after_effect")
        made = self._write_result(intent, made)
        self._crash_point("after_result")
        return self._result(made)

    def settle(self, intent: LedgerEntry) -> Made:
        """Find out what became of an action that was cut short, and write it down."""
        settled = _SETTLED[self._trace(intent)]
        self._ledger.append(_result_of(intent, settled))
        return settled

    def _check_name(self) -> None:
        """What is counted and undone by its name must have one of its own."""
        if any(one.action == self._name for one in self._ledger.read()):
            raise Refused(f"there was an action {self._name} before")

    def _settle_earlier(self) -> Optional[Made]:
        """Settle what was cut short of this remedy and incident.  What was made is not made again."""
        for intent in unfinished(self._ledger.read()):
            if intent.remedy != self._code.name.value or intent.incident != self._seen.incident.id:
                continue
            settled = self.settle(intent)
            if settled.outcome is not Outcome.REFUSED:
                return replace(settled, detail=f"action {intent.action} was {settled.detail}")
        return None

    def _trace(self, intent: LedgerEntry) -> Trace:
        trace: Trace = self._code.trace(self._context(), self._code.remembered(intent))
        return trace

    def _plan(self, context: Context) -> Plan[Any]:
        incident = context.incident
        gate.check(self._settings, self._code.name, self._who, context.wall_ns)
        if self._seen.boot_id != context.boot_id:
            raise Refused(f"incident {incident.id} was seen before the machine was restarted")
        if incident.hands_off:
            raise Refused(f"hands off: {incident.hands_off}")
        if incident.cause not in self._code.causes:
            raise Refused(f"{self._code.name.value} is no remedy for {incident.cause.value}")
        history = History(context.entries, context.wall_ns)
        gate.check_budget(self._settings, self._code.name, incident.cause, self._who, history)
        return self._code.plan(context)

    def _effect(self, context: Context, plan: Plan[Any]) -> Made:
        try:
            return self._code.effect(context, plan)
        except Refused as error:
            # A lasting change that was refused half-way stays on record as one to be undone.
            return Made(Outcome.FAILED if plan.expires_wall_ns else Outcome.REFUSED, str(error))
        except WatchdogError as error:
            return Made(Outcome.FAILED, str(error))

    def _write_result(self, intent: LedgerEntry, made: Made) -> Made:
        try:
            self._ledger.append(_result_of(intent, made))
        except LedgerError as error:
            return replace(made, detail=f"{made.detail}; its result could not be written: {error}")
        return made

    def _context(self) -> Context:
        return Context(
            settings=self._settings,
            incident=self._seen.incident,
            boot_id=proc.boot_id(),
            wall_ns=time.time_ns(),
            entries=self._ledger.read(),
        )

    def _entry(self, phase: str, plan: Plan[Any]) -> LedgerEntry:
        incident = self._seen.incident
        return LedgerEntry(
            action=self._name,
            phase=phase,
            wall_ns=time.time_ns(),
            boot_id=self._seen.boot_id,
            incident=incident.id,
            remedy=self._code.name.value,
            cause=incident.cause.value,
            runtime=incident.runtime,
            culprit=plan.culprit,
            expires_wall_ns=plan.expires_wall_ns,
            detail="; ".join(plan.steps),
            detail_json=memory_json(plan.memory),
        )

    def _crash_point(self, name: str) -> None:
        if os.environ.get("PULL_WATCHDOG_TEST_CRASH") in (name, f"{self._code.name.value}:{name}"):
            os.kill(os.getpid(), signal.SIGKILL)

    def _result(self, made: Made) -> Result:
        name, incident = self._code.name.value, self._seen.incident.id
        return Result(self._name, name, incident, made.outcome, made.detail, extra=made.extra)


def _result_of(intent: LedgerEntry, made: Made) -> LedgerEntry:
    return replace(
        intent,
        phase="result",
        wall_ns=time.time_ns(),
        outcome=made.outcome,
        detail=made.detail,
        detail_json=json.dumps(dict(made.extra), separators=(",", ":")),
    )
