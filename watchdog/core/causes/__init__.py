"""What is wrong: one small file a family of causes.  Each is a pure function to findings."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping, Optional

from watchdog.core.causes.daemon import daemon
from watchdog.core.causes.extraction import all_stopped, decompressor, orphan, untar
from watchdog.core.causes.finding import Finding
from watchdog.core.causes.storage import storage
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.extraction import Tracks
from watchdog.core.observation import ExtractionScan, ProcessEvent
from watchdog.core.policy import Thresholds


def find(
    scan: ExtractionScan, tracks: Tracks, limits: Thresholds, stops: Mapping[int, ProcessEvent]
) -> List[Finding]:
    """All that is wrong in one runtime's newest scan; at most one finding a process.

    A stopped daemon explains everything behind it, so it is then the only one.
    `stops`: the newest stop signal that each pid was seen to get.
    """
    return [_with_sender(one, stops.get(one.culprit.key.pid)) for one in _all(scan, tracks, limits)]


def _all(scan: ExtractionScan, tracks: Tracks, limits: Thresholds) -> List[Finding]:
    stopped = daemon(scan.runtime, scan.daemon, tracks, limits)
    if stopped is not None:
        return [stopped]
    found: List[Finding] = []
    for pipeline in tracks.pipelines.get(scan.runtime, []):
        judged = (judge(pipeline, tracks, limits) for judge in (untar, decompressor, storage))
        found.extend(one for one in judged if one is not None)
    found.extend(
        one for one in (orphan(scan.runtime, process, tracks, limits) for process in scan.orphans) if one
    )
    return list({one.culprit.key: one for one in reversed(found)}.values())[::-1]


def _with_sender(finding: Finding, stop: Optional[ProcessEvent]) -> Finding:
    """The finding with who stopped the process, where the kernel told us."""
    if stop is None or not all_stopped(finding.culprit):
        return finding
    by = "itself" if stop.other_pid == stop.pid else f"process {stop.other_pid}"
    sender = f" by {by}" if stop.other_pid else ""
    told = Evidence(Kind.KERNEL_EVENT, f"signal {stop.signal} was sent to it{sender}")
    return replace(finding, evidence=(*finding.evidence, told))


__all__ = ["Finding", "find"]
