"""restart_runtime: the last resort, under every condition of act/restart_conditions.

A graceful stop has a deadline; then the old process is killed by its pidfd, so
that a stop which never ends does not leave the host without a runtime.  Before
that a runtime whose API is silent is asked for its goroutines, because they are
gone afterwards.  It has worked when another process is the runtime and answers.

The same process cannot be restarted twice: where the old one lives and no
restart command is under way, there was no restart.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import List, Optional, Tuple

from watchdog.act import dump_goroutines, restart_conditions, runtime, systemctl
from watchdog.act.identity import Subject, check_descent, held_as_seen
from watchdog.act.last_answer import LastAnswer
from watchdog.act.remedy import DECOMPRESSOR_CAUSES, UNTAR_CAUSES, Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.errors import ProcessGone, Refused, Unavailable, WatchdogError
from watchdog.host import birth, command, proc
from watchdog.host.docker import ApiError, DockerApi

RESTART_CAUSES = DECOMPRESSOR_CAUSES | UNTAR_CAUSES | {Cause.DAEMON_STOPPED, Cause.DAEMON_UNRESPONSIVE}
_GRACEFUL_SHARE = 0.4  # of the deadline, for the stop; the rest is for the start
_LEFT_FOR_RESULT_S = 5.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Restart:
    """The process to be replaced, and what was known of it at the intent."""

    pid: int
    start_ticks: int
    containers_running: int
    api_answers: bool

    @property
    def key(self) -> ProcessKey:
        return ProcessKey(self.pid, self.start_ticks)


def plan(context: Context) -> Plan[Restart]:
    """Check every condition; Refused with all that speak against it."""
    deadline_ns = context.settings.deadlines_ns[Remedy.RESTART_RUNTIME]
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        answer = restart_conditions.check(context.settings, daemon)
        _check_cause(context, daemon, answer)
        dump = [] if answer.is_fresh else [f"ask {daemon.name} for its goroutines (SIGUSR1)"]
        words, containers = " ".join(_restart_command(context.settings)), answer.containers_running
        return Plan(
            steps=(
                *dump,
                f"run `{words}`, which replaces {daemon.name}; {containers} container(s) go on",
                f"kill it if it does not stop within {graceful_s(deadline_ns):.0f} s",
            ),
            memory=Restart(
                daemon.key.pid,
                daemon.key.start_ticks,
                answer.containers_running,
                answer.is_fresh,
            ),
        )


def effect(context: Context, intended: Plan[Restart]) -> Made:
    """Restart it and wait for the new process."""
    return perform(context, intended.memory, context.settings.deadlines_ns[Remedy.RESTART_RUNTIME])


def perform(context: Context, memory: Restart, deadline_ns: int) -> Made:
    """Restart it within a deadline, as a step of whatever remedy has that deadline."""
    settings, began = context.settings, time.monotonic()
    ends_at = began + deadline_ns / 1e9 - _LEFT_FOR_RESULT_S
    with held_runtime(settings, context.incident.daemon) as daemon:
        if daemon.key != memory.key:
            raise Refused("another process is the runtime by now")
        said = [] if memory.api_answers else [dump_goroutines.ask(daemon, dump_goroutines.look(daemon))]
        said += _stop_and_start(settings, daemon, graceful_s(deadline_ns), ends_at)
    new = _await_new(settings, memory.key, ends_at)
    if new is None:
        return Made(
            Outcome.FAILED, "; ".join([*said, "no new process answers; look at the runtime's own log"])
        )
    said.append(f"process {new.pid} has replaced {memory.pid} after {time.monotonic() - began:.0f} s")
    return Made(Outcome.DONE, "; ".join(said), {"old_pid": memory.pid, "new_pid": new.pid})


def trace(context: Context, memory: Restart) -> Trace:
    """The old process tells: it has ended, or it will, or nobody has asked it to."""
    if not proc.is_alive(memory.key):
        return Trace.MADE
    if _is_under_way(context.settings):
        raise Refused("an earlier restart was cut short, and its command is still at it")
    return Trace.NONE


def graceful_s(deadline_ns: int) -> float:
    """How long the old process may take to stop by itself."""
    return deadline_ns / 1e9 * _GRACEFUL_SHARE


def _check_cause(context: Context, daemon: Subject, answer: LastAnswer) -> None:
    """Refused where what the incident tells of is not there by now.

    The conditions have seen that nothing moves; for a fault of the network
    (more_attempts) there is no more to see.
    """
    incident = context.incident
    if incident.cause in (Cause.DAEMON_STOPPED, Cause.DAEMON_UNRESPONSIVE):
        if answer.is_fresh:
            raise Refused("its API answers by now: a restart is not needed")
    elif incident.cause in RESTART_CAUSES:
        with held_as_seen(incident.culprit) as culprit:
            check_descent(culprit, daemon.key)


def _restart_command(settings: ActSettings) -> List[str]:
    runtime_config = settings.runtime
    return (
        systemctl.restart(runtime_config.service) if runtime_config.service else list(runtime_config.restart)
    )


def _stop_and_start(settings: ActSettings, daemon: Subject, patience_s: float, ends_at: float) -> List[str]:
    """Run the restart command beside us; kill the old process if it outlives the graceful stop."""
    said = []
    running = command.start(_restart_command(settings), max(1.0, ends_at - time.monotonic()))
    try:
        if not _stops_gracefully(daemon, running, patience_s):
            with suppress(ProcessGone):  # at the last moment
                daemon.send(signal.SIGKILL)
            said.append(f"it did not stop within {patience_s:.0f} s and was killed")
        done = _await_command(running, ends_at)
        if done is not None and not done.succeeded:
            said.append(f"the restart command ended badly ({_last_line(done)}); started once more")
            command.run(_start_command(settings), max(1.0, ends_at - time.monotonic()))
    finally:
        running.close()
    return said


def _stops_gracefully(daemon: Subject, running: command.Running, patience_s: float) -> bool:
    """Wait for the old process to end; False when its command still waits for that, too.

    Raises Unavailable when the command has ended and it has not: killed then,
    nothing would bring it up again.
    """
    limit = time.monotonic() + patience_s
    while not daemon.ends_within(_LOOK_EVERY_S):
        done, late = running.poll(), time.monotonic() > limit
        if done is not None and (late or not done.succeeded):
            raise Unavailable(f"the restart command ended, {daemon.key.pid} runs on: {_last_line(done)}")
        if late:
            return False
    return True


def _is_under_way(settings: ActSettings) -> bool:
    """Whether a restart command runs, or systemd still has an order for the unit."""
    unit = settings.runtime.service
    if unit is not None and systemctl.show(unit, "Job").get("Job", "0") != "0":
        return True
    words = tuple(_restart_command(settings))
    return any(_arguments(pid)[-len(words) :] == words for pid in proc.pids())


def _arguments(pid: int) -> Tuple[str, ...]:
    try:
        return birth.arguments(proc.identify(pid))
    except WatchdogError:
        return ()


def _start_command(settings: ActSettings) -> List[str]:
    """What brings up a runtime that has ended: harmless where it is up already."""
    runtime_config = settings.runtime
    return systemctl.start(runtime_config.service) if runtime_config.service else list(runtime_config.restart)


def _await_command(running: command.Running, ends_at: float) -> Optional[command.Completed]:
    while time.monotonic() < ends_at:
        done = running.poll()
        if done is not None:
            return done
        time.sleep(_LOOK_EVERY_S)
    return None


def _await_new(settings: ActSettings, old: ProcessKey, ends_at: float) -> Optional[ProcessKey]:
    """The process that answers in the old one's place; None when none did in time."""
    while True:
        new = _answering(settings)
        if new is not None and new != old:
            return new
        if time.monotonic() > ends_at:
            return None
        time.sleep(_LOOK_EVERY_S)


def _answering(settings: ActSettings) -> Optional[ProcessKey]:
    try:
        DockerApi(settings.socket_path or "").ping()
    except ApiError:
        return None
    return runtime.current_key(settings)


def _last_line(done: command.Completed) -> str:
    lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"status {done.status}"


RESTART_RUNTIME = RemedyCode(
    name=Remedy.RESTART_RUNTIME,
    causes=RESTART_CAUSES,
    memory=Restart,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="a restarted runtime is a new process; the old one does not come back",
)
