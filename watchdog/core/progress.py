"""The signs that a pull goes on: bytes that its process has moved, a later layer, its image.

Law: a sign counts only when it is later than the incident's last sample, or than what freed it.
"""

from __future__ import annotations

from typing import Optional

from watchdog.core.extraction import Pipeline, Tracks
from watchdog.core.incident import Incident
from watchdog.core.observation import ImageEvent, ProcessKey
from watchdog.core.pull import AffectedPull, attribute
from watchdog.core.reference import parse_reference
from watchdog.core.world import World


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
        sign = image_came(pull, incident, world) or later_layer(pull, incident, world, tracks)
        if sign:
            return sign
    return ""


def arrival_of_pulls(incident: Incident, world: World) -> str:
    """That the incident's image has come since it was freed, or all that it may be; else ""."""
    arrivals = [image_came(pull, incident, world) for pull in incident.pulls]
    return arrivals[0] if arrivals and all(arrivals) else ""


def image_came(pull: AffectedPull, incident: Incident, world: World) -> str:
    """That the pull's image has come since the incident was freed, or ""."""
    for seen_wall_ns, event in world.image_events:
        is_later = seen_wall_ns >= (incident.freed_wall_ns or incident.confirmed_wall_ns)
        if is_later and event.runtime == incident.runtime and _arrived(event, pull):
            return f"{pull.image} has arrived"
    return ""


def later_layer(pull: AffectedPull, incident: Incident, world: World, tracks: Tracks) -> str:
    """That a younger worker moves bytes for a later layer of the pull, or ""."""
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


def _arrived(event: ImageEvent, pull: AffectedPull) -> bool:
    """True when the event says that this pull's image is there.

    A `pull` event names what was asked for.  A `present` event counts only by
    digest: an older image may bear the same tag.
    """
    if pull.digest and event.reference.endswith(pull.digest):
        return event.action in ("pull", "present")
    if event.action != "pull":
        return False
    return same_name(pull.image, event.reference)


def same_name(one: str, other: str) -> bool:
    """True when both name the same image, however short."""
    reference = parse_reference(one)
    return reference is not None and reference == parse_reference(other)


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
