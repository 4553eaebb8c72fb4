"""The runtime itself: stopped by a signal, or alive with an API that answers nobody.

Law: a runtime that is stopped, frozen or traced explains its own silence.  One
that is starved answers late; so a silence counts questions, ever further apart.
"""

from __future__ import annotations

from typing import List, Optional

from watchdog.core.causes.extraction import all_stopped, hold_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.extraction import Tracks
from watchdog.core.observation import Api, ProcessSample
from watchdog.core.policy import Thresholds
from watchdog.core.symptoms.vocabulary import SymptomKind
from watchdog.core.target import Target
from watchdog.core.told import Told
from watchdog.core.world import World

RECENT_NS = 120_000_000_000
DESCRIPTORS = "too many open files"


def daemon(
    runtime: str, process: Optional[ProcessSample], tracks: Tracks, limits: Thresholds
) -> Optional[Finding]:
    """The finding that the runtime's process is stopped or held."""
    still = tracks.stillness(process.key) if process else None
    if process is None or still is None or still.samples == 0:
        return None
    held = hold_of(process)
    if not held and not all_stopped(process):
        return None
    state = held or "every thread of it is stopped by a signal"
    return Finding(
        runtime=runtime,
        cause=Cause.DAEMON_HELD if held else Cause.DAEMON_STOPPED,
        culprit=process,
        evidence=(
            Evidence(Kind.PROCESS_STATE, f"{process.comm} (pid {process.key.pid}): {state}"),
            Evidence(Kind.COUNTERS, f"it has neither read nor written in {still.samples} samples"),
        ),
        samples=still.samples,
        since_ns=still.since_ns,
        threshold=limits.daemon_stopped,
        hands_off=held,
    )


def silent_api(runtime: str, world: World, limits: Thresholds) -> List[Finding]:
    """daemon_unresponsive: it lives, nobody holds it, and its API takes questions and answers none."""
    seen, daemon = world.runtimes.get(runtime), world.daemons.get(runtime)
    if seen is None or seen.api is not Api.SILENT or not seen.unanswered or _is_unseen(runtime, world):
        return []
    if daemon is None or daemon.key != seen.process or hold_of(daemon) or "T" in daemon.states:
        return []
    told = _out_of_descriptors(runtime, world)
    lives = (
        f"{daemon.comm} (pid {daemon.key.pid}) lives: its threads are {daemon.states}, and nobody holds it"
    )
    said = [Evidence(Kind.LOG, f"the runtime says: {told.text[:200]}")] if told else []
    return [
        Finding(
            runtime=runtime,
            cause=Cause.DAEMON_UNRESPONSIVE,
            subject=f"{daemon.key.pid}.{daemon.key.start_ticks}/api",
            culprit=daemon,
            evidence=(
                Evidence(Kind.SOCKET, f"{seen.unanswered} questions to its API in a row: {seen.detail}"),
                Evidence(Kind.PROCESS_STATE, lives),
                *said,
            ),
            samples=seen.unanswered,
            since_ns=world.now_ns,
            threshold=limits.unresponsive,
            target=Target(endpoint=f"{daemon.comm} (pid {daemon.key.pid})", reason=_reason(told)),
            advice=(_ADVICE_DESCRIPTORS,) if told else (),
        )
    ]


_ADVICE_DESCRIPTORS = (
    "It has no descriptor left: `ls /proc/PID/fd | wc -l` against LimitNOFILE of its service. dockerd leaks "
    "a socket for each push whose client left while a registry was silent, and for each refused resume."
)


def _reason(told: Optional[Told]) -> str:
    return "descriptors" if told else "silent"


def _is_unseen(runtime: str, world: World) -> bool:
    """Law 2 of the engine: an answer that nobody waits for any more is not missing."""
    sensor = world.sensors.get(f"runtime.{runtime}")
    return sensor is not None and not sensor.up


def _out_of_descriptors(runtime: str, world: World) -> Optional[Told]:
    """The runtime's own word that it cannot open anything more."""
    for one in reversed(world.told.get(runtime, ())):
        is_new = one.source == runtime and world.now_ns - one.at_ns <= RECENT_NS
        if is_new and one.symptom.kind is SymptomKind.RESOURCE and DESCRIPTORS in one.text:
            return one
    return None
