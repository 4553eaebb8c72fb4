"""The runtime itself, stopped by a signal: everything behind it stands still."""

from __future__ import annotations

from typing import Optional

from watchdog.core.causes.extraction import all_stopped, hold_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.extraction import Tracks
from watchdog.core.observation import ProcessSample
from watchdog.core.policy import Thresholds


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
