"""Storage that stands still below an extraction: told, and nothing is killed.

A thread in uninterruptible sleep is normal for a moment; only with the disk's
own counters still for as long is it a stall.  A disk that could not be seen
makes no verdict.
"""

from __future__ import annotations

from typing import Optional

from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.extraction import Pipeline, Tracks
from watchdog.core.observation import ProcessSample
from watchdog.core.policy import Thresholds


def storage(pipeline: Pipeline, tracks: Tracks, limits: Thresholds) -> Optional[Finding]:
    """The finding that this pipeline waits for its disk."""
    process = _waiting_for_disk(pipeline)
    disk_still = tracks.storage_still_samples(pipeline.runtime)
    still = tracks.stillness(process.key) if process else None
    worker = tracks.stillness(pipeline.worker.key) if pipeline.worker else None
    if process is None or pipeline.worker is None or still is None or worker is None or not disk_still:
        return None
    # The daemon moves bytes for its other pulls too: there the decompressor's stillness counts.
    pipeline_still = worker.samples if process is pipeline.daemon else min(still.samples, worker.samples)
    if pipeline_still == 0:
        return None
    return Finding(
        runtime=pipeline.runtime,
        cause=Cause.STORAGE_STALLED,
        # The daemon is many pulls' process; what stands still here is this decompressor.
        culprit=pipeline.worker if process is pipeline.daemon else process,
        evidence=(
            Evidence(
                Kind.PROCESS_STATE,
                f"{process.comm} (pid {process.key.pid}) is in uninterruptible sleep ({process.states})",
            ),
            Evidence(
                Kind.COUNTERS,
                f"the disk below the data root has moved no sector in {disk_still} samples",
            ),
        ),
        samples=min(pipeline_still, disk_still),
        since_ns=worker.since_ns,
        threshold=limits.storage,
        pipeline=pipeline,
        hands_off="no signal reaches a process that waits for its disk; look at the storage",
    )


def _waiting_for_disk(pipeline: Pipeline) -> Optional[ProcessSample]:
    untar = pipeline.untar.process if pipeline.untar else None
    for process in (untar, pipeline.worker, pipeline.daemon):
        # Under a cgroup v1 freezer a process is in D too, so an unseen freezer makes no verdict.
        if process is not None and "D" in process.states and process.frozen is False:
            return process
    return None
