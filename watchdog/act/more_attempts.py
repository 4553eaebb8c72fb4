"""more_attempts: restart the runtime with more attempts for each layer, so that a bad way is enough.

For a way that cuts transfers again and again, where the rest of a layer comes with
every attempt.  dockerd counts to 5 or 6, and takes another number at its start only,
whatever a reload says.  So it is a restart with one key in daemon.json: every
condition of restart_runtime holds, and the key goes again when there is no restart.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchdog.act import daemon_json, daemon_setting, reload, restart_runtime
from watchdog.act.daemon_command import command_of
from watchdog.act.daemon_json import Change
from watchdog.act.identity import held
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.restart_runtime import Restart
from watchdog.act.runtime import current_key, held_runtime
from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import Refused, WatchdogError
from watchdog.host import proc

KEY = "max-download-attempts"
ATTEMPTS = 20  # with dockerd's pauses between them a quarter of an hour


@dataclass(frozen=True)
class More:
    """The key, and the restart that puts it in force."""

    change: Change
    restart: Restart


def plan(context: Context) -> Plan[More]:
    """Check the file, then everything that a restart needs."""
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        change = daemon_setting.plan(context.settings, daemon, KEY, _raised)
    restart = restart_runtime.plan(context)
    return Plan(
        steps=(f"set {KEY} to {ATTEMPTS} in {change.path}", *restart.steps),
        memory=More(change, restart.memory),
        expires_wall_ns=context.wall_ns + context.settings.expiries_ns[Remedy.MORE_ATTEMPTS],
    )


def effect(context: Context, intended: Plan[More]) -> Made:
    """Write the key and restart; without a restart the key goes again."""
    memory = intended.memory
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        started = command_of(daemon)
        reload.remember(context.settings, daemon, daemon_json.find(daemon, started), memory.change)
        daemon_json.write(memory.change, started)
    try:
        deadline_ns = context.settings.deadlines_ns[Remedy.MORE_ATTEMPTS]
        made = restart_runtime.perform(context, memory.restart, deadline_ns)
    except WatchdogError:
        if proc.is_alive(memory.restart.key):
            with suppress(WatchdogError):  # what stopped the restart is the news
                daemon_json.take_back(memory.change, None)
        raise
    return Made(made.outcome, f"{made.detail}; it makes {ATTEMPTS} attempts at a layer now", made.extra)


def trace(context: Context, memory: More) -> Trace:
    """As for a restart; without one the key is taken back."""
    found = restart_runtime.trace(context, memory.restart)
    if found is Trace.NONE:
        daemon_json.take_back(memory.change, None)
    return found


def undo(settings: ActSettings, memory: More) -> Made:
    """Take the key back.  It stays in force until somebody restarts the runtime: we do not, for that."""
    key = current_key(settings)
    if key is not None:
        with held(key) as daemon, suppress(Refused):
            file = daemon_json.read(Path(memory.change.path))
            reload.check(settings, daemon, file)
            reload.remember(settings, daemon, file, memory.change.reverse)
    if not daemon_json.take_back(memory.change, None):
        return Made(Outcome.DONE, f"somebody has changed {KEY} in {memory.change.path} since: it is left so")
    return Made(Outcome.DONE, f"{memory.change.path} is as it was; the number holds until the next start")


def _raised(value: Any) -> str:
    if value is not None and (not isinstance(value, int) or value >= ATTEMPTS):
        raise Refused(f"{KEY} is {value} already")
    return str(ATTEMPTS)


MORE_ATTEMPTS = RemedyCode(
    name=Remedy.MORE_ATTEMPTS,
    causes=frozenset({Cause.RESET_LOOP, Cause.TIME_LIMIT}),
    memory=More,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
