"""Whether an action worked, from later observations only.

Law: RECOVERED only by progress seen after the action.  A subject that ended is
no success, and an exit code proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from watchdog.core.extraction import Tracks
from watchdog.core.incident import EFFECTIVE, Incident, Verdict
from watchdog.core.observation import ProcessKey
from watchdog.core.policy import Remedy
from watchdog.core.progress import bytes_moved, progress_of_pulls
from watchdog.core.world import World

LOOKS_FOR_PROGRESS = 8  # samples without a byte after an action: it did not help
LOOKS_FOR_END = 5  # samples that a killed process may still be seen
LOOKS_FOR_IMAGE = 15  # samples after the last client went, until a pull counts as over
LOOKS_FOR_ANOTHER_PULL = 120  # after a restart its clients are gone; kubelet and people ask again


@dataclass(frozen=True)
class Judgement:
    """A verdict with its reason; `ended` when the subject is no longer there."""

    verdict: Verdict
    reason: str
    ended: bool = False


def verify(incident: Incident, world: World, tracks: Tracks) -> Optional[Judgement]:
    """The verdict on the incident's last action; None while it cannot be said."""
    if incident.taken(Remedy.KILL_DECOMPRESSOR.value, *EFFECTIVE):
        return _after_kill(incident, tracks)
    return _after_resume(incident, world, tracks)


def _after_resume(incident: Incident, world: World, tracks: Tracks) -> Optional[Judgement]:
    moved = bytes_moved(incident, tracks)
    if moved:
        return Judgement(Verdict.RECOVERED, f"{incident.culprit.comm} has moved {moved} bytes since")
    sign = progress_of_pulls(incident, world, tracks) if incident.certain else ""
    if sign:
        return Judgement(Verdict.RECOVERED, sign)
    successor = replaced_by(incident, world)
    if successor is not None:
        reason = f"its runtime was replaced by process {successor.pid}, and no progress of its pull was seen"
        over = incident.looks >= LOOKS_FOR_ANOTHER_PULL
        return Judgement(Verdict.INCONCLUSIVE, reason, ended=True) if over else None
    key = incident.culprit.key
    still = min(incident.looks, tracks.still_samples(key)) if tracks.alive(incident.runtime, key) else 0
    if still >= LOOKS_FOR_PROGRESS:
        return Judgement(Verdict.NOT_RECOVERED, f"not one byte moved in {still} samples since")
    if tracks.ended(incident.runtime, key) and incident.looks >= LOOKS_FOR_IMAGE:
        return Judgement(Verdict.INCONCLUSIVE, "it ended, and no progress of its pull was seen", ended=True)
    return None


def replaced_by(incident: Incident, world: World) -> Optional[ProcessKey]:
    """The process that is the runtime now, where it is another one than it was.

    What the old one has left, a decompressor among it, works for nobody.
    """
    seen = world.runtimes.get(incident.runtime)
    if seen is None or seen.process is None or incident.daemon is None:
        return None
    return seen.process if seen.process != incident.daemon.key else None


def _after_kill(incident: Incident, tracks: Tracks) -> Optional[Judgement]:
    key = incident.culprit.key
    if tracks.alive(incident.runtime, key) and incident.looks >= LOOKS_FOR_END:
        return Judgement(Verdict.NOT_RECOVERED, "it is still there after the kill")
    if not tracks.ended(incident.runtime, key):
        return None
    missing = [one for one in incident.owed if not one.satisfied]
    if incident.owed and not missing:
        names = ", ".join(dict.fromkeys(one.pull.image for one in incident.owed))
        if not _covers(incident):
            return Judgement(
                Verdict.INCONCLUSIVE, f"the layer may have been of another pull than {names}", True
            )
        return Judgement(Verdict.RECOVERED, f"progress seen after the kill: {names}", ended=True)
    if not incident.owed and incident.looks >= LOOKS_FOR_END:
        return Judgement(Verdict.INCONCLUSIVE, "it ended; no connected client waited for it", ended=True)
    return None


def _covers(incident: Incident) -> bool:
    """True when the pull whose layer it was is certainly among those that were owed."""
    return incident.certain or all(one.connected for one in incident.pulls)
