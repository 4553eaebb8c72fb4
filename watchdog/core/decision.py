"""What to do about an incident: act, wait or refuse, each with its reason.

Freeing climbs the cause's ladder from the mildest remedy to the strongest, and a
stronger one is taken only when the milder failed or cannot work.  Preventing
is only for a fault that came back.  When in doubt: nothing, and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Mapping, Optional, Tuple, Union

from watchdog.core.causes.finding import HUNG_DECOMPRESSOR, Cause
from watchdog.core.history import History
from watchdog.core.incident import Incident, State
from watchdog.core.mirror import healed
from watchdog.core.observation import Outcome, Sight
from watchdog.core.policy import DEFAULT_BUDGETS, SECOND_NS, Budget, Mode, Policy, Remedy
from watchdog.core.target import why_no_reset
from watchdog.core.tick import Call, Decision
from watchdog.core.verification import LOOKS_FOR_IMAGE
from watchdog.core.world import World

REFUSALS_MAX = 3
FAILURES_MAX = 2
PAUSE_AFTER_REFUSAL_NS = 10 * SECOND_NS
PAUSE_AFTER_UNDO_NS = 60 * SECOND_NS

_R = Remedy
# What may be tried for each cause, the mildest first.  Some of it lasts until it expires or is undone:
# it frees by changing what the next attempt goes through.  A cause that is not here is told only.
LADDERS: Mapping[Cause, Tuple[Remedy, ...]] = {
    Cause.DECOMPRESSOR_STOPPED: (_R.RESUME,),
    Cause.DECOMPRESSOR_SPINNING: (_R.KILL_DECOMPRESSOR, _R.DISABLE_PIGZ, _R.RESTART_RUNTIME),
    Cause.DECOMPRESSOR_BLOCKED: (_R.KILL_DECOMPRESSOR, _R.DISABLE_PIGZ, _R.RESTART_RUNTIME),
    Cause.UNTAR_STOPPED: (_R.RESUME, _R.KILL_DECOMPRESSOR),
    Cause.UNTAR_BLOCKED: (_R.KILL_DECOMPRESSOR, _R.RESTART_RUNTIME),
    Cause.DAEMON_STOPPED: (_R.RESUME, _R.RESTART_RUNTIME),
    Cause.DAEMON_UNRESPONSIVE: (_R.DUMP_GOROUTINES, _R.RESTART_RUNTIME),
    Cause.DOWNLOAD_STALLED: (_R.RESET_CONNECTION,),
    Cause.HEADER_WAIT: (_R.RESET_CONNECTION,),
    Cause.RESET_LOOP: (_R.ROUTE_AROUND, _R.MORE_ATTEMPTS),
    Cause.TIME_LIMIT: (_R.ROUTE_AROUND, _R.FEWER_PARALLEL, _R.MORE_ATTEMPTS),
    Cause.REGISTRY_OVERLOADED: (_R.FEWER_PARALLEL,),
    Cause.P2P_RATE_LIMITED: (_R.FEWER_PARALLEL, _R.BYPASS_MIRROR),
    Cause.SIZE_LIMIT: (_R.ROUTE_AROUND,),
    Cause.RANGE_UNSUPPORTED: (_R.ROUTE_AROUND,),
    Cause.MIRROR_FAILING: (_R.BYPASS_MIRROR,),
    Cause.P2P_PIECE_TIMEOUT: (_R.RAISE_P2P_TIMEOUT, _R.RESTART_P2P, _R.BYPASS_MIRROR),
    Cause.P2P_NO_SCHEDULER: (_R.RESTART_P2P, _R.BYPASS_MIRROR),
    Cause.P2P_SUPERNODE_UNREACHABLE: (_R.BYPASS_MIRROR,),
}
STOPPED = (Cause.DECOMPRESSOR_STOPPED, Cause.UNTAR_STOPPED, Cause.DAEMON_STOPPED)
TOLD = "told only: nothing on this node can free it safely"


@dataclass(frozen=True)
class Act:
    """Do this now."""

    remedy: Remedy
    reason: str


@dataclass(frozen=True)
class Wait:
    """Not yet."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """Not at all, as things are; `final`: nothing is left that may be tried."""

    reason: str
    final: bool = False


Choice = Union[Act, Wait, Refuse]


def decide(incident: Incident, world: World, history: History) -> Choice:
    """What to do about a confirmed incident, or about the pulls that a kill owes."""
    forbidden = _forbidden(incident, world)
    if forbidden is not None:
        return forbidden
    if incident.state is State.VERIFYING:
        return _bring_back(incident, world, history)
    prevention = _prevent(incident, world, history)
    choice = prevention or _free(incident, world, history)
    return _gate(choice, world) if isinstance(choice, Act) else choice


def decide_undo(world: World, history: History) -> Optional[Decision]:
    """The undoing of a lasting change whose time is over, or whose mirror serves again."""
    expired = history.due(world.machine.boot_id)
    due = expired or healed(history, world)
    if due is None or history.now_wall_ns - history.last_revert_ns(due.action) < PAUSE_AFTER_UNDO_NS:
        return None
    why = "the time" if expired else "the need"
    reason = f"{why} of {due.remedy} of incident {due.incident} is over"
    gated = _gate(Act(Remedy(due.remedy), reason), world)
    call = Call.WAIT
    if isinstance(gated, Act):
        call = Call.ACT if world.policy.mode is Mode.ENFORCE else Call.WOULD_ACT
    return Decision(due.incident, call, gated.reason, due.remedy, undo=due.action)


def as_decision(incident: Incident, choice: Choice, mode: Mode) -> Decision:
    """The choice as it is told: in observe mode an act is what would be done."""
    if isinstance(choice, Act):
        call = Call.ACT if mode is Mode.ENFORCE else Call.WOULD_ACT
        return Decision(incident.id, call, choice.reason, choice.remedy.value)
    call = Call.WAIT if isinstance(choice, Wait) else Call.REFUSE
    return Decision(incident.id, call, choice.reason)


def _forbidden(incident: Incident, world: World) -> Union[Refuse, Wait, None]:
    runtime = world.runtimes.get(incident.runtime)
    if runtime is None:
        return Wait("what kind of runtime it is is not known yet")
    if runtime.sight is not Sight.FULL:
        return Refuse(f"the runtime cannot be seen in full: {runtime.sight.value}")
    if incident.hands_off:
        return Refuse(f"hands off: {incident.hands_off}")
    if incident.cause not in LADDERS:
        return Refuse(TOLD)
    is_a_process_of_a_pull = incident.target is None and incident.cause is not Cause.DAEMON_STOPPED
    if is_a_process_of_a_pull and not incident.belongs_to_pull:
        return Refuse("hands off: no layer of a pull belongs to it for certain; a load or a build, perhaps")
    return None


def _gate(act: Act, world: World) -> Choice:
    """What stands between a decision and its execution on this host."""
    if world.operator.inhibited:
        return Wait(f"would {act.remedy.value}, but all action is inhibited")
    people = world.sensors.get("operator_thread")
    if people is not None and not people.up:
        return Wait(f"would {act.remedy.value}, but whether people forbid it cannot be seen")
    if world.paused():
        return Wait(f"would {act.remedy.value}, but action is paused: {world.operator.pause_reason}")
    if not world.ledger.usable:
        return Wait(f"would {act.remedy.value}, but there is no ledger: {world.ledger.detail}")
    busy = world.exclusive_in_flight()
    if busy is not None:
        return Wait(f"would {act.remedy.value}, but {busy.remedy} is in flight")
    return act


def _prevent(incident: Incident, world: World, history: History) -> Optional[Choice]:
    """Before a fault that came back is freed again: take its source away."""
    remedy = Remedy.SUBSTITUTE_DECOMPRESSOR
    if incident.cause not in HUNG_DECOMPRESSOR or incident.recurrence == 0:
        return None
    if remedy not in world.policy.remedies_on or incident.taken(remedy.value):
        return None
    boot = world.machine.boot_id
    if any(one.remedy == remedy.value and one.boot_id == boot for one in history.lasting()):
        return None
    if isinstance(_attempt(remedy, incident, world, history), (Wait, str)):
        return None
    return Act(remedy, f"{incident.cause.value} came back {incident.recurrence} time(s) within a day")


def _free(incident: Incident, world: World, history: History) -> Choice:
    if incident.cause in STOPPED:
        again = _stopped_again(incident, world, history)
        if again is not None:
            return again
    spent: List[str] = []
    off: List[str] = []
    for remedy in LADDERS[incident.cause]:
        if remedy is Remedy.DISABLE_PIGZ and not incident.recurrence:
            continue  # it lasts, and a fault that came once may not come again
        if remedy is Remedy.DUMP_GOROUTINES and incident.taken(remedy.value, Outcome.DONE):
            continue  # it was never to free anything
        if remedy not in world.policy.remedies_on:
            off.append(remedy.value)
            continue
        step = _step(remedy, incident, world, history)
        if isinstance(step, str):
            spent.append(step)
            continue
        return step
    if spent:
        return Refuse("; ".join(spent), final=True)
    return Refuse(f"switched off: {', '.join(off)}")


def _stopped_again(incident: Incident, world: World, history: History) -> Optional[Refuse]:
    if history.resumed(incident.culprit.key, world.machine.boot_id):
        return Refuse("hands off: it was stopped again after we continued it, so somebody means it")
    return None


def _step(remedy: Remedy, incident: Incident, world: World, history: History) -> Union[Act, Wait, str]:
    """This rung of the ladder; a text says why it is used up.

    An action whose process ended without a word may be tried again: it finds out
    from the machine first whether its predecessor took effect.
    """
    if remedy is Remedy.RESET_CONNECTION:  # each attempt of a layer is a connection of its own
        spent = why_no_reset(incident.target) if incident.target else "no connection is known"
        return spent or _attempt(remedy, incident, world, history)
    if remedy is Remedy.BYPASS_MIRROR:  # what fails again had served since, and is in the list again
        return _attempt(remedy, incident, world, history)
    culprit, boot = incident.culprit.key, world.machine.boot_id
    made = history.made(remedy, culprit, boot, incident.acknowledged_wall_ns)
    if made or incident.taken(remedy.value, Outcome.DONE):
        return f"{remedy.value} did not help"
    return _attempt(remedy, incident, world, history)


def _attempt(remedy: Remedy, incident: Incident, world: World, history: History) -> Union[Act, Wait, str]:
    """Whether that remedy may be tried now; a text says why no more."""
    name = remedy.value
    refused = incident.taken(name, Outcome.REFUSED)
    failed = incident.taken(name, Outcome.FAILED, Outcome.EXPIRED)
    if len(refused) >= REFUSALS_MAX or len(failed) >= FAILURES_MAX:
        return f"{name}: {(failed + refused)[-1].detail}"
    if not _within_budget(remedy, incident, world.policy, history):
        return f"the budget of {name} for {incident.cause.value} is spent"
    budget = budget_of(world.policy, remedy)
    pause = history.cooldown_ns(remedy, incident.cause.value, budget)
    for one in refused + failed:
        pause = max(pause, one.started_wall_ns + PAUSE_AFTER_REFUSAL_NS - history.now_wall_ns)
    if pause > 0:
        return Wait(f"{name} again in {pause / 1e9:.0f} s")
    if remedy is Remedy.KILL_DECOMPRESSOR and not _clients_known(incident, world):
        return Wait("who waits for the layer is not known yet")
    if remedy in (Remedy.RAISE_P2P_TIMEOUT, Remedy.RESTART_P2P) and _p2p_moves(world):
        return Wait("transfers go through the P2P client, and a restart would lose them")
    return Act(remedy, _reason(incident))


def budget_of(policy: Policy, remedy: Remedy) -> Budget:
    """The remedy's budget; the default's where the policy names none."""
    return policy.budgets.get(remedy, DEFAULT_BUDGETS[remedy])


def _clients_known(incident: Incident, world: World) -> bool:
    scan = world.clients.get(incident.runtime)
    if scan is None or not scan.complete:
        return False
    return world.now_ns - world.clients_seen_ns[incident.runtime] <= 10 * world.policy.tick_ns


def _p2p_moves(world: World) -> bool:
    """Unknown is no idleness either."""
    newest = world.p2p[-1][1] if world.p2p else None
    return newest is None or (newest.process is not None and newest.moving is not False)


def _within_budget(remedy: Remedy, incident: Incident, policy: Policy, history: History) -> bool:
    budget = budget_of(policy, remedy)
    return history.remaining(remedy, incident.cause.value, budget) > 0


def _bring_back(incident: Incident, world: World, history: History) -> Choice:
    """After a kill: pull again what it ended and nobody else brings."""
    missing = [one for one in incident.owed if one.to_repull]
    if not missing:
        return Wait("looking whether it worked")
    if incident.running:
        return Wait("the repull is under way")
    if all(one.asked for one in missing):
        asked = _asked_already(incident)
        if asked is not None:
            return asked
    if Remedy.REPULL not in world.policy.remedies_on:
        return Refuse("repull is switched off: the clients have to pull again", final=True)
    step = _attempt(Remedy.REPULL, incident, world, history)
    if isinstance(step, str):
        return Refuse(step, final=True)
    images = ", ".join(dict.fromkeys(one.pull.image for one in missing))
    reason = f"our kill ended the pull of {images}"
    return step if isinstance(step, Wait) else _gate(Act(Remedy.REPULL, reason), world)


def _asked_already(incident: Incident) -> Optional[Choice]:
    """None where it may be asked for again: its process ended without a word; the next one looks first."""
    if incident.looks < LOOKS_FOR_IMAGE:
        return Wait("the repull ended; looking for the image")
    repulls = incident.taken(Remedy.REPULL.value)
    if repulls and repulls[-1].outcome is Outcome.EXPIRED:
        return None
    return Refuse("repull did not help", final=True)


def _reason(incident: Incident) -> str:
    image = f" of {incident.image}" if incident.image else ""
    target = incident.target
    if target is not None:
        peer = target.connection.remote if target.connection else target.endpoint
        return f"{incident.cause.value}: {target.blob.name if target.blob else peer}{image}"
    return f"{incident.cause.value}: {incident.culprit.comm} (pid {incident.culprit.key.pid}){image}"
