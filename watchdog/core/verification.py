"""Whether an action worked, from later observations only.

Law: RECOVERED only by progress seen after the action.  A subject that ended is
no success, and an exit code proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from watchdog.core.extraction import Pipeline, Tracks
from watchdog.core.incident import EFFECTIVE, Incident, Owed, Verdict
from watchdog.core.observation import Client, ImageEvent, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.core.pull import AffectedPull, attribute
from watchdog.core.reference import parse_reference
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


def bytes_moved(incident: Incident, tracks: Tracks) -> int:
    """The bytes that the culprit has read and written since its incident's last sample."""
    still = tracks.stillness(incident.culprit.key)
    if still is None:
        return 0
    then, now = incident.culprit, still.sample
    if None in (then.read_bytes, then.written_bytes, now.read_bytes, now.written_bytes):
        return 0
    before = (then.read_bytes or 0) + (then.written_bytes or 0)
    return max(0, (now.read_bytes or 0) + (now.written_bytes or 0) - before)


def progress_of_pulls(incident: Incident, world: World, tracks: Tracks) -> str:
    """What shows that one of the incident's pulls has gone on, or ""."""
    for pull in incident.pulls:
        sign = sign_of_progress(pull, incident, world, tracks)
        if sign:
            return sign
    return ""


def sign_of_progress(pull: AffectedPull, incident: Incident, world: World, tracks: Tracks) -> str:
    """What shows that the pull has gone on since the incident was freed, or ""."""
    return _arrival(pull, incident, world) or _later_layer(pull, incident, world, tracks)


def arrival_of_pulls(incident: Incident, world: World) -> str:
    """That the incident's image has come since it was freed, or all that it may be; else ""."""
    arrivals = [_arrival(pull, incident, world) for pull in incident.pulls]
    return arrivals[0] if arrivals and all(arrivals) else ""


def _arrival(pull: AffectedPull, incident: Incident, world: World) -> str:
    for seen_wall_ns, event in world.image_events:
        is_later = seen_wall_ns >= (incident.freed_wall_ns or incident.confirmed_wall_ns)
        if is_later and event.runtime == incident.runtime and arrived(event, pull):
            return f"{pull.image} has arrived"
    return ""


def _later_layer(pull: AffectedPull, incident: Incident, world: World, tracks: Tracks) -> str:
    for pipeline in tracks.pipelines.get(incident.runtime, []):
        moved_ns = _moved_ns(pipeline, tracks) if _younger(pipeline, incident.culprit.key) else None
        if moved_ns is not None and world.wall_ns(moved_ns) >= incident.freed_wall_ns:
            theirs = attribute(world, incident.runtime, pipeline.blob)
            if theirs.certain and any(is_same_pull(one, pull) for one in theirs.pulls):
                return f"a later layer of {pull.image} is being extracted"
    return ""


def is_same_pull(one: AffectedPull, other: AffectedPull) -> bool:
    """True when both are of the same image, by name or by digest."""
    return one.image == other.image or (one.digest is not None and one.digest == other.digest)


def arrived(event: ImageEvent, pull: AffectedPull) -> bool:
    """True when the event says that this pull's image is there.

    A `pull` event names what was asked for.  A `present` event counts only by
    digest: an older image may bear the same tag.
    """
    if pull.digest and event.reference.endswith(pull.digest):
        return event.action in ("pull", "present")
    if event.action != "pull":
        return False
    return _same_name(pull.image, event.reference)


def _same_name(one: str, other: str) -> bool:
    reference = parse_reference(one)
    return reference is not None and reference == parse_reference(other)


def follow_owed(incident: Incident, world: World, tracks: Tracks) -> Tuple[Owed, ...]:
    """The owed pulls with what this frame shows of each."""
    return tuple(_follow(one, incident, world, tracks) for one in incident.owed)


def owed_by_kill(incident: Incident) -> Tuple[Owed, ...]:
    """What a kill of this incident's decompressor owes: the connected pulls that share the
    layer, and those that an earlier kill still owes."""
    own = [pull for pull in incident.pulls if pull.connected]
    known = {(pull.image, pull.digest) for pull in own}
    carried = [pull for pull in incident.carried if (pull.image, pull.digest) not in known]
    return tuple(Owed(pull) for pull in (*own, *carried))


def _follow(owed: Owed, incident: Incident, world: World, tracks: Tracks) -> Owed:
    """A pull whose own client goes on is satisfied by progress; one that our repull brings
    only by the image, because nobody else would notice if it hung again."""
    if owed.satisfied:
        return owed
    if _arrival(owed.pull, incident, world):
        return replace(owed, satisfied=True)
    scan = world.clients.get(incident.runtime)
    if scan is None or world.clients_seen_ns[incident.runtime] != world.now_ns:
        return owed  # no look at the clients in this frame
    if any(_brings(one, owed.pull) for one in scan.clients):
        goes_on = bool(_later_layer(owed.pull, incident, world, tracks))
        return replace(owed, satisfied=goes_on, gone_samples=0)
    return replace(owed, gone_samples=owed.gone_samples + 1) if scan.complete else owed


def _brings(client: Client, pull: AffectedPull) -> bool:
    """The pull's own client, or somebody else who pulls the same."""
    if client.key == pull.client:
        return True
    return (
        client.verb == "pull" and client.connected is not False and _same_name(pull.image, client.image or "")
    )


def _younger(pipeline: Pipeline, culprit: ProcessKey) -> bool:
    worker = pipeline.worker
    return (
        worker is not None
        and worker.key != culprit
        and (worker.key.start_ticks, worker.key.pid) >= (culprit.start_ticks, culprit.pid)
    )


def _moved_ns(pipeline: Pipeline, tracks: Tracks) -> Optional[int]:
    still = tracks.stillness(pipeline.worker.key) if pipeline.worker else None
    return still.moved_ns if still is not None else None
