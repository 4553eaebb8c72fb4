"""dump_goroutines: have a runtime whose API is silent write down what each goroutine of it waits for.

It frees nothing; it keeps what a restart takes away.  dockerd writes the stacks to
goroutine-stacks-TIME.log in its exec root on SIGUSR1 and goes on.  A process
without a handler for that signal would die of it: it is not sent then.  A daemon
without a free descriptor cannot write the file, and says so in its log.
"""

from __future__ import annotations

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from watchdog.act.daemon_command import command_of
from watchdog.act.identity import Subject, check_not_held, handles
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.errors import Refused
from watchdog.host.docker import ApiError, DockerApi

_PATIENT_SHARE = 1 / 3  # of the deadline: a starved runtime answers late; it is not silent
_USUAL_EXEC_ROOT = "/var/run/docker"
_WRITTEN_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Dump:
    """Where the stacks come to lie, and which lay there before."""

    daemon: ProcessKey
    folder: str
    before: Tuple[str, ...]


def plan(context: Context) -> Plan[Dump]:
    """Check that the runtime is silent still, and that the signal does it no harm."""
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        check_not_held(daemon)
        if not handles(daemon.process, signal.SIGUSR1):
            raise Refused(f"{daemon.name} has no handler for SIGUSR1: it would die of it")
        check_silent(context.settings)
        before = look(daemon)
        return Plan(
            steps=(f"send SIGUSR1 to {daemon.name}, which writes its goroutines' stacks to {before.folder}",),
            memory=before,
            culprit=daemon.key,
        )


def effect(context: Context, intended: Plan[Dump]) -> Made:
    """Send it, and wait for the file."""
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        if daemon.key != intended.memory.daemon:
            raise Refused("another process is the runtime by now")
        return Made(Outcome.DONE, ask(daemon, intended.memory))


def trace(context: Context, memory: Dump) -> Trace:
    """A file that was not there before tells; a second one would do no harm."""
    return Trace.MADE if set(dumps_in(memory.folder)) - set(memory.before) else Trace.NONE


def look(daemon: Subject) -> Dump:
    """What lies there now."""
    folder = exec_root(daemon)
    return Dump(daemon.key, folder, dumps_in(folder))


def ask(daemon: Subject, before: Dump) -> str:
    """Have the runtime write its stacks; a sentence about what came of it."""
    if not handles(daemon.process, signal.SIGUSR1):
        return "it has no handler for a goroutine dump"
    daemon.send(signal.SIGUSR1)
    limit = time.monotonic() + _WRITTEN_WITHIN_S
    while time.monotonic() < limit:
        time.sleep(_LOOK_EVERY_S)
        fresh = sorted(set(dumps_in(before.folder)) - set(before.before))
        if fresh:
            return f"its goroutines' stacks are in {before.folder}/{fresh[-1]}"
    return f"it was asked for its goroutines, and has written nothing to {before.folder}: see its log"


def check_silent(settings: ActSettings) -> None:
    """Refused when the API answers a patient question."""
    patience_s = settings.deadlines_ns[Remedy.DUMP_GOROUTINES] / 1e9 * _PATIENT_SHARE
    try:
        DockerApi(settings.socket_path or "", patience_s).ping()
    except ApiError:
        return
    raise Refused("the API answers, only slowly perhaps: it is not silent")


def exec_root(daemon: Subject) -> str:
    """Where the runtime keeps its state of this boot, as it was told at its start."""
    started = command_of(daemon)
    told = started.option("--exec-root")
    if told is not None:
        return told
    try:
        settings = json.loads(Path(started.config_file).read_bytes())
        return str(settings.get("exec-root", _USUAL_EXEC_ROOT))
    except (OSError, ValueError, AttributeError):
        return _USUAL_EXEC_ROOT


def dumps_in(folder: str) -> Tuple[str, ...]:
    """The names of the dumps that lie there."""
    return tuple(sorted(one.name for one in Path(folder).glob("goroutine-stacks-*.log")))


DUMP_GOROUTINES = RemedyCode(
    name=Remedy.DUMP_GOROUTINES,
    causes=frozenset({Cause.DAEMON_UNRESPONSIVE}),
    memory=Dump,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="it has changed nothing: a file was written",
)
