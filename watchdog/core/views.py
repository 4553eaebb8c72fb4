"""What a tick tells people: the pulls, the stages, and one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Tuple

from watchdog.core.casebook import Casebook
from watchdog.core.causes.finding import Finding
from watchdog.core.demand import layers_of
from watchdog.core.estimate import estimate
from watchdog.core.extraction import Pipeline, Tracks
from watchdog.core.observation import Client, ClientScan, ProcessSample
from watchdog.core.pull import attribute
from watchdog.core.tick import PullView, StageView
from watchdog.core.transfer import Transfers
from watchdog.core.world import World


def pull_views(world: World, tracks: Tracks, transfers: Transfers) -> Tuple[PullView, ...]:
    """Every client that pulls, with what is known of its downloads and extractions."""
    return tuple(
        view for scan in world.clients.values() for view in _pulls_of(scan, world, tracks, transfers)
    )


def _pulls_of(scan: ClientScan, world: World, tracks: Tracks, transfers: Transfers) -> List[PullView]:
    pulling = [one for one in scan.clients if one.verb == "pull"]
    extracting = _extracting(world, tracks)
    views = []
    for one in pulling:
        note = extracting.get(one.image or "", "")
        seen = PullView(scan.runtime, one.image, one.key, one.connected, note)
        views.append(_with_estimate(seen, one, world, transfers) if len(pulling) == 1 else seen)
    return views


def _with_estimate(view: PullView, client: Client, world: World, transfers: Transfers) -> PullView:
    """What the runtime downloads is this pull's: there is no other."""
    if not transfers.fresh(view.runtime, world.now_ns):
        return view
    layers = [size for _, size in layers_of(world, view.runtime, client) or ()]
    found = estimate(transfers.of(view.runtime), transfers.finished.get(view.runtime, ()), layers)
    left = None if found.seconds_left is None else round(found.seconds_left)
    return replace(
        view,
        done_bytes=found.done_bytes,
        total_bytes=found.total_bytes,
        bytes_per_second=round(found.rate),
        seconds_left=left,
        slowest=found.slowest,
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
