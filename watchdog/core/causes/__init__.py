"""What is wrong: one small file a family of causes.  Each is a pure function to findings."""

from __future__ import annotations

from typing import List

from watchdog.core.causes.daemon import daemon
from watchdog.core.causes.extraction import decompressor, orphan, untar
from watchdog.core.causes.finding import Finding
from watchdog.core.causes.storage import storage
from watchdog.core.extraction import Tracks
from watchdog.core.observation import ExtractionScan
from watchdog.core.policy import Thresholds


def find(scan: ExtractionScan, tracks: Tracks, limits: Thresholds) -> List[Finding]:
    """All that is wrong in one runtime's newest scan; at most one finding a process.

    A stopped daemon explains everything behind it, so it is then the only one.
    """
    stopped = daemon(scan.runtime, scan.daemon, tracks, limits)
    if stopped is not None:
        return [stopped]
    found: List[Finding] = []
    for pipeline in tracks.pipelines.get(scan.runtime, []):
        judged = (judge(pipeline, tracks, limits) for judge in (storage, untar, decompressor))
        found.extend(one for one in judged if one is not None)
    found.extend(
        one for one in (orphan(scan.runtime, process, tracks, limits) for process in scan.orphans) if one
    )
    return list({one.culprit.key: one for one in reversed(found)}.values())[::-1]


__all__ = ["Finding", "find"]
