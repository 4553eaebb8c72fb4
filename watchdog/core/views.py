"""What a tick tells people: the pulls, the stages, and one sentence."""

from __future__ import annotations

from typing import List, Optional, Tuple

from watchdog.core.casebook import Casebook
from watchdog.core.causes.finding import Finding
from watchdog.core.estimating import estimate_of
from watchdog.core.extraction import Pipeline, Tracks
from watchdog.core.observation import ProcessSample
from watchdog.core.pull import attribute
from watchdog.core.tick import PullView, StageView
from watchdog.core.transfer import Transfers
from watchdog.core.world import World


def pull_views(world: World, tracks: Tracks, transfers: Transfers) -> Tuple[PullView, ...]:
    """Every client that pulls, with what is known of its downloads and extractions."""
    extracting = _extracting(world, tracks)
    far = {runtime: estimate_of(world, transfers, runtime) for runtime in world.clients}
    return tuple(
        PullView(
            scan.runtime,
            one.image,
            one.key,
            one.connected,
            extracting.get(one.image or "", ""),
            far[scan.runtime],
        )
        for scan in world.clients.values()
        for one in scan.clients
        if one.verb == "pull"
    )


def stage_views(tracks: Tracks) -> Tuple[StageView, ...]:
    """Every stage of every extraction, as the last scan showed it."""
    views: List[StageView] = []
    for runtime, found in tracks.pipelines.items():
        for pipeline in found:
            worker = pipeline.worker or pipeline.decompressor.members[0]
            views.append(_stage(runtime, "decompressor", worker, tracks, pipeline))
            if pipeline.untar is not None:
                views.append(_stage(runtime, "untar", pipeline.untar.process, tracks, None))
    return tuple(views)


def sentence(casebook: Casebook, pulls: Tuple[PullView, ...], findings: List[Finding]) -> str:
    """One sentence for the tick: what goes on, and what is done about it."""
    incidents = casebook.open()
    if incidents:
        one = incidents[-1]
        more = f" (and {len(incidents) - 1} more)" if len(incidents) > 1 else ""
        return f"{one.id} {one.cause.value} is {one.state.value}{more}: {one.next}"
    if findings:
        one_finding = max(findings, key=lambda found: found.samples / found.threshold)
        seen = f"{one_finding.samples} of {one_finding.threshold} samples"
        if one_finding.target is not None:
            return f"{one_finding.cause.value}, perhaps: {seen}"
        return f"{one_finding.culprit.comm} (pid {one_finding.culprit.key.pid}) has stood still for {seen}"
    if pulls:
        return f"{len(pulls)} pull(s) under way, nothing stands still"
    return "no pull is under way"


def _extracting(world: World, tracks: Tracks) -> dict[str, str]:
    notes = {}
    for runtime, found in tracks.pipelines.items():
        for pipeline in found:
            if pipeline.blob is None:
                continue
            done = pipeline.blob.position_bytes / max(1, pipeline.blob.size_bytes)
            for pull in attribute(world, runtime, pipeline.blob).pulls:
                notes[pull.image] = f"extracting a layer, {done:.0%} of {pipeline.blob.size_bytes} bytes read"
    return notes


def _stage(
    runtime: str, role: str, process: ProcessSample, tracks: Tracks, pipeline: Optional[Pipeline]
) -> StageView:
    blob = pipeline.blob if pipeline else None
    return StageView(
        runtime=runtime,
        role=role,
        pid=process.key.pid,
        comm=process.comm,
        states=process.states,
        read_bytes=process.read_bytes,
        written_bytes=process.written_bytes,
        still_samples=tracks.still_samples(process.key),
        blob=blob.name if blob else "",
        blob_size_bytes=blob.size_bytes if blob else None,
        blob_position_bytes=blob.position_bytes if blob else None,
    )
