"""resume: SIGCONT to a process that a signal has stopped, once for each process.

The mildest remedy: it takes nothing away.  Every thread must be stopped; a
process that is frozen or traced is held on purpose, and so is one that was
stopped again after we continued it.

A stopped process does not run.  So when it is still stopped and has not been
switched in since the intent, the signal was never sent.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

from watchdog.act.identity import Subject, check_descent, check_not_held, held, held_as_seen
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.errors import ProcessGone, Refused

_RUNS_AGAIN_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Stopped:
    """A stopped process at the intent: how often its main thread had been switched in."""

    pid: int
    start_ticks: int
    switches: int
    cpu_ticks: int


def plan(context: Context) -> Plan[Stopped]:
    """Check that the culprit is stopped and may be continued."""
    check_never_resumed(context)
    with _culprit(context) as subject:
        return Plan(
            steps=(f"send SIGCONT to {subject.name}",),
            memory=_look(subject),
            culprit=subject.key,
        )


def effect(context: Context, intended: Plan[Stopped]) -> Made:
    """Continue it, unless something has touched it since the plan."""
    with _culprit(context) as subject:
        if _look(subject) != intended.memory:
            raise Refused(f"{subject.name} has run since it was looked at")
        name = subject.name
        subject.send(signal.SIGCONT)
        runs = _runs_again(subject)
    after = "it runs again" if runs else f"it is still stopped {_RUNS_AGAIN_WITHIN_S:.0f} s later"
    return Made(Outcome.DONE, f"SIGCONT sent to {name}; {after}")


def trace(context: Context, memory: Stopped) -> Trace:
    """Nothing was sent where it is stopped as it was and has never been switched in."""
    try:
        with held(ProcessKey(memory.pid, memory.start_ticks)) as subject:
            return Trace.NONE if _look(subject) == memory else Trace.MADE
    except Refused:
        return Trace.UNKNOWN  # it has ended, continued or not


def check_never_resumed(context: Context) -> None:
    """Refused when this very process was continued before: stopped again means on purpose."""
    for one in context.earlier(Remedy.RESUME, "result"):
        if one.culprit == context.incident.culprit.key and one.outcome in (Outcome.DONE, Outcome.EXPIRED):
            raise Refused(f"it was continued before (action {one.action}) and stopped again: hands off")


@contextmanager
def _culprit(context: Context) -> Iterator[Subject]:
    """Hold the culprit, verified: the runtime itself, or a process that descends from it."""
    incident = context.incident
    if incident.cause is Cause.DAEMON_STOPPED:
        with held_runtime(context.settings, incident.culprit) as subject:
            _check_stopped(subject)
            yield subject
        return
    with held_as_seen(incident.culprit) as subject, held_runtime(context.settings, incident.daemon) as daemon:
        check_descent(subject, daemon.key)
        _check_reads_from_pipe(subject)
        _check_stopped(subject)
        yield subject


def _check_reads_from_pipe(subject: Subject) -> None:
    """What extracts is fed through a pipe; other children of a runtime, and their own, are not."""
    if not (subject.process.descriptor(0) or "").startswith("pipe:"):
        raise Refused(f"{subject.name} reads from no pipe: it is no part of an extraction")


def _check_stopped(subject: Subject) -> None:
    check_not_held(subject)
    states = subject.process.states()
    if set(states) != {"T"}:
        raise Refused(f"{subject.name} is not stopped: the states of its threads are {states}")


def _look(subject: Subject) -> Stopped:
    switches = subject.process.status().switches
    if switches is None:
        raise Refused(
            f"how often {subject.name} ran cannot be seen, so a second SIGCONT could not be ruled out"
        )
    return Stopped(subject.key.pid, subject.key.start_ticks, switches, subject.process.stat().cpu_ticks)


def _runs_again(subject: Subject) -> bool:
    limit = time.monotonic() + _RUNS_AGAIN_WITHIN_S
    try:
        while "T" in subject.process.states():
            if time.monotonic() > limit:
                return False
            time.sleep(_LOOK_EVERY_S)
    except ProcessGone:
        pass  # it ran to its end
    return True


RESUME = RemedyCode(
    name=Remedy.RESUME,
    causes=frozenset({Cause.DECOMPRESSOR_STOPPED, Cause.UNTAR_STOPPED, Cause.DAEMON_STOPPED}),
    memory=Stopped,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="a process that was continued has gone on; stopping it again would only hang the pull",
)
