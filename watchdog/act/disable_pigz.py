"""disable_pigz: restart the runtime with MOBY_DISABLE_PIGZ, so that it decompresses by itself.

For a fault that neither a kill nor a substitution keeps away.  It is a restart
with one line of environment, so every condition of restart_runtime holds, and
the line is taken back when there is no restart.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from watchdog.act import environment_file, restart_runtime, runtime
from watchdog.act.remedy import DECOMPRESSOR_CAUSES, Context, Made, Plan, RemedyCode, Trace
from watchdog.act.restart_runtime import Restart
from watchdog.act.settings import ActSettings
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import Refused, WatchdogError
from watchdog.host import birth, proc

_LINE = environment_file.LINES[0]


@dataclass(frozen=True)
class Disabling:
    """The file, whether it was there before, and the restart that puts it in force."""

    path: str
    was_there: bool
    restart: Restart


def plan(context: Context) -> Plan[Disabling]:
    """Check the file, then everything that a restart needs."""
    path = environment_file.path_in_force(context.settings)
    environment_file.check(path)
    if environment_file.content(path):
        raise Refused(f"{path} says so already")
    restart = restart_runtime.plan(context)
    return Plan(
        steps=(f"write {_LINE.strip()} to {path}", *restart.steps),
        memory=Disabling(str(path), path.exists(), restart.memory),
        expires_wall_ns=context.wall_ns + context.settings.expiries_ns[Remedy.DISABLE_PIGZ],
    )


def effect(context: Context, intended: Plan[Disabling]) -> Made:
    """Write the line and restart; without a restart the line goes again."""
    memory = intended.memory
    path = Path(memory.path)
    environment_file.check(path)
    environment_file.write(path, _LINE)
    try:
        deadline_ns = context.settings.deadlines_ns[Remedy.DISABLE_PIGZ]
        made = restart_runtime.perform(context, memory.restart, deadline_ns)
    except WatchdogError:
        if proc.is_alive(memory.restart.key):
            with suppress(WatchdogError):  # what stopped the restart is the news
                environment_file.take_back(path, memory.was_there)
        raise
    if not _in_force(context.settings):
        said = environment_file.take_back(path, memory.was_there)
        return Made(Outcome.FAILED, f"{made.detail}; the new process does not have {_LINE.strip()}: {said}")
    return Made(made.outcome, f"{made.detail}; it decompresses by itself now", made.extra)


def trace(context: Context, memory: Disabling) -> Trace:
    """As for a restart; without one the line is taken back."""
    found = restart_runtime.trace(context, memory.restart)
    if found is Trace.NONE:
        environment_file.take_back(Path(memory.path), memory.was_there)
    return found


def undo(settings: ActSettings, memory: Disabling) -> Made:
    """Take the line away.  It stays in force until somebody restarts the runtime: we do not, for that."""
    said = environment_file.take_back(Path(memory.path), memory.was_there)
    until = "; the running process keeps it until its next start" if _in_force(settings) else ""
    return Made(Outcome.DONE, said + until)


def _in_force(settings: ActSettings) -> bool:
    """True when the runtime that runs now was started with the line."""
    try:
        key = runtime.current_key(settings)
        return key is not None and birth.environment(key).get(environment_file.DISABLE_PIGZ) == "true"
    except WatchdogError:
        return False


DISABLE_PIGZ = RemedyCode(
    name=Remedy.DISABLE_PIGZ,
    causes=DECOMPRESSOR_CAUSES,
    memory=Disabling,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
