"""fewer_parallel: one layer at a time, for a while.

For a device that gives each transfer so long and no longer, a registry that is
overloaded, and a limit on requests: the whole bandwidth of the node is then one
transfer's.  max-concurrent-downloads goes to 1, or max-concurrent-uploads for a
push, in daemon.json and by a reload.

dockerd takes it for what begins from then on: a pull that is under way goes on
as it began, so it is for the next one of a fault that comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from watchdog.act import daemon_setting
from watchdog.act.daemon_json import Change
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.core.refusal import Verb
from watchdog.errors import Refused

DOWNLOADS, UPLOADS = "max-concurrent-downloads", "max-concurrent-uploads"
_AT_A_TIME = 1


@dataclass(frozen=True)
class Fewer:
    """The change of one of the two limits."""

    change: Change


def plan(context: Context) -> Plan[Fewer]:
    """Check that the limit can be lowered now."""
    key = _limit(context)
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        change = daemon_setting.plan(context.settings, daemon, key, _lowered)
    return Plan(
        steps=(f"set {key} to {_AT_A_TIME} in {change.path}, and reload (SIGHUP)",),
        memory=Fewer(change),
        expires_wall_ns=context.wall_ns + context.settings.expiries_ns[Remedy.FEWER_PARALLEL],
    )


def effect(context: Context, intended: Plan[Fewer]) -> Made:
    """Lower it."""
    change = intended.memory.change
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        daemon_setting.make(context.settings, daemon, change)
    return Made(Outcome.DONE, f"{change.key} is {_AT_A_TIME}: from the next pull or push on")


def trace(context: Context, memory: Fewer) -> Trace:
    """The file and the last reload tell."""
    return daemon_setting.trace(context.settings, context.incident.daemon, memory.change)


def undo(settings: ActSettings, memory: Fewer) -> Made:
    """Put the limit back as it was: to the file's own number, or to dockerd's default."""
    return daemon_setting.undo(settings, memory.change)


def _limit(context: Context) -> str:
    """What a registry refuses is told of pushes and of pulls apart; all else is about downloads."""
    return UPLOADS if f"/{Verb.PUSH.value} " in context.incident.subject else DOWNLOADS


def _lowered(value: Any) -> str:
    if value is not None and (not isinstance(value, int) or value <= _AT_A_TIME):
        raise Refused(f"it is {value} already")
    return str(_AT_A_TIME)


FEWER_PARALLEL = RemedyCode(
    name=Remedy.FEWER_PARALLEL,
    causes=frozenset({Cause.TIME_LIMIT, Cause.REGISTRY_OVERLOADED, Cause.P2P_RATE_LIMITED}),
    memory=Fewer,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
