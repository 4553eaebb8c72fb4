"""The extraction of a layer: its stages, and for how long each has stood still.

Method: a stage is a process (the decompressor, the untar, the runtime itself).
Its counters are compared sample by sample; any movement, however small, starts
the count anew.  A wait counts samples, not seconds, and a gap of more than
three ticks starts it anew too, so a paused machine is not a hung pull.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from watchdog.core.observation import (
    BlobSample,
    DecompressorSample,
    ExtractionScan,
    PressureSample,
    ProcessKey,
    ProcessSample,
    UntarSample,
)

# What lies between a blob file and the decompressor: dockerd's buffers and a full
# pipe.  Measured 124,704 bytes with the pipe full, for each of two pulls at once.
BLOB_AHEAD_MAX_BYTES = 192 * 1024
# Between the decompressor and the untar there are two pipes and dockerd's buffer.
UNTAR_BEHIND_MAX_BYTES = 512 * 1024
# The untar reads its options and its libraries before the first byte of the layer.
UNTAR_EXTRA_READ_BYTES = 64 * 1024

GAP_TICKS = 3
CPU_SAMPLES = 6  # over how many samples the use of CPU is taken


@dataclass(frozen=True)
class Stillness:
    """For how long a process has not moved a byte.

    `samples` counts the comparisons that found no movement; `since_ns` is the
    first sample of the still stretch.  `moved_ns`: when its counters were last
    seen to move; None for never.  `earlier` are the last samples
    of the still stretch before this one, as (time, CPU ticks), oldest first;
    `first_cpu_ticks` is the CPU that it had used when the stretch began.
    """

    sample: ProcessSample
    at_ns: int
    since_ns: int
    samples: int = 0
    moved_ns: Optional[int] = None
    first_cpu_ticks: Optional[int] = None
    earlier: Tuple[Tuple[int, Optional[int]], ...] = ()

    def cpu_spent_s(self, ticks_per_second: int = 100) -> float:
        """CPU used since it stands still, in seconds; 0 where it was not seen."""
        if self.sample.cpu_ticks is None or self.first_cpu_ticks is None:
            return 0.0
        return (self.sample.cpu_ticks - self.first_cpu_ticks) / ticks_per_second

    def cpu_share(self, ticks_per_second: int = 100) -> float:
        """CPU used at the end of the still stretch, in cores; 0 where it was not seen.

        `ticks_per_second` is USER_HZ, 100 on every architecture of Linux.
        """
        if not self.earlier:
            return 0.0
        from_ns, from_ticks = self.earlier[0]
        if self.sample.cpu_ticks is None or from_ticks is None or self.at_ns <= from_ns:
            return 0.0
        used = (self.sample.cpu_ticks - from_ticks) / ticks_per_second
        return used / ((self.at_ns - from_ns) / 1e9)


@dataclass(frozen=True)
class Pipeline:
    """One decompressor and what stands around it in the same sample.

    `worker` is the member of the decompressing stage that moves the bytes; None
    where that is ambiguous.  `blob` and `untar` are those that belong to it
    beyond doubt; `blob_candidates` tells how many could.  `blob_is_open` is
    False where the blob was its own in an earlier sample and is closed now: the
    runtime lets go of it when the last client gives up, and the layer hangs on.
    """

    runtime: str
    decompressor: DecompressorSample
    worker: Optional[ProcessSample]
    blob: Optional[BlobSample]
    blob_candidates: int
    untar: Optional[UntarSample]
    daemon: Optional[ProcessSample]
    blob_is_open: bool = True

    @property
    def stage(self) -> Tuple[ProcessSample, ...]:
        """The members that hold the stage's pipes, the runtime's child first."""
        return stage_members(self.decompressor)


def stage_members(decompressor: DecompressorSample) -> Tuple[ProcessSample, ...]:
    """The members of the subtree that hold one of the stage's pipes."""
    root = decompressor.members[0]
    pipes = {end.inode for end in (root.stdin, root.stdout) if end is not None}
    held = tuple(
        one
        for one in decompressor.members
        if any(end is not None and end.inode in pipes for end in (one.stdin, one.stdout))
    )
    return held or (root,)


def find_worker(decompressor: DecompressorSample) -> Optional[ProcessSample]:
    """The member that does the work: it holds the pipes and is nobody's waiting parent."""
    members = stage_members(decompressor)
    parents = {one.parent_pid for one in members}
    leaves = [one for one in members if one.key.pid not in parents]
    return leaves[0] if len(leaves) == 1 else None


def matching_blobs(worker: Optional[ProcessSample], blobs: Iterable[BlobSample]) -> List[BlobSample]:
    """The download files that this decompressor can be reading from."""
    if worker is None or worker.read_bytes is None:
        return []
    read = worker.read_bytes
    return [blob for blob in blobs if 0 <= blob.position_bytes - read <= BLOB_AHEAD_MAX_BYTES]


MayFeed = Callable[[ProcessSample, BlobSample], bool]


def pipelines(scan: ExtractionScan, may_feed: MayFeed = lambda worker, blob: True) -> List[Pipeline]:
    """Every decompressor of the scan with the blob and the untar that are certainly its own.

    `may_feed` knows from earlier scans which blobs a decompressor cannot be reading.
    """
    stages = [one for one in scan.decompressors if one.members]
    workers = [find_worker(one) for one in stages]
    blobs = [
        [blob for blob in matching_blobs(worker, scan.blobs) if worker and may_feed(worker, blob)]
        for worker in workers
    ]
    untars = _pair_untars(workers, scan.untars)
    return [
        Pipeline(
            runtime=scan.runtime,
            decompressor=one,
            worker=workers[index],
            blob=_certain(blobs, index),
            blob_candidates=len(blobs[index]),
            untar=untars[index],
            daemon=scan.daemon,
        )
        for index, one in enumerate(stages)
    ]


def _certain(blobs: List[List[BlobSample]], index: int) -> Optional[BlobSample]:
    """The only blob that fits, if it fits no other decompressor."""
    if len(blobs[index]) != 1:
        return None
    mine = blobs[index][0]
    return mine if sum(mine in one for one in blobs) == 1 else None


def _pair_untars(
    workers: List[Optional[ProcessSample]], untars: Tuple[UntarSample, ...]
) -> List[Optional[UntarSample]]:
    """For each decompressor the untar that reads its output: the only one, or by byte counts."""
    if len(workers) == 1 and len(untars) == 1:
        return [untars[0]]
    fits = [[one for one in untars if _feeds(worker, one)] for worker in workers]
    paired: List[Optional[UntarSample]] = []
    for index, mine in enumerate(fits):
        others = [one for other, theirs in enumerate(fits) if other != index for one in theirs]
        paired.append(mine[0] if len(mine) == 1 and mine[0] not in others else None)
    return paired


def _feeds(worker: Optional[ProcessSample], untar: UntarSample) -> bool:
    if worker is None or worker.written_bytes is None or untar.process.read_bytes is None:
        return False
    ahead = worker.written_bytes - untar.process.read_bytes
    return -UNTAR_EXTRA_READ_BYTES <= ahead <= UNTAR_BEHIND_MAX_BYTES


@dataclass(frozen=True)
class Rest:
    """For how many comparisons a blob file has stood at the same position."""

    at_ns: int
    samples: int = 0


class Tracks:
    """The stillness of every process of every pipeline, by its key."""

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self._by_key: Dict[ProcessKey, Stillness] = {}
        self._rests: Dict[str, Dict[BlobSample, Rest]] = {}
        self._storage: Dict[str, Tuple[PressureSample, int, int]] = {}
        self._blobs: Dict[ProcessKey, BlobSample] = {}
        self.pipelines: Dict[str, List[Pipeline]] = {}
        self.scans: Dict[str, ExtractionScan] = {}
        self.scanned_ns: Dict[str, int] = {}

    def update(self, scan: ExtractionScan, now_ns: int) -> None:
        """Take in one scan of one runtime."""
        self.scans[scan.runtime] = scan
        self.scanned_ns[scan.runtime] = now_ns
        for sample in _processes(scan):
            self._by_key[sample.key] = self._compare(self._by_key.get(sample.key), sample, now_ns)
        self._compare_blobs(scan, now_ns)
        self._compare_storage(scan, now_ns)
        rests = self._rests[scan.runtime]
        found = pipelines(scan, lambda worker, blob: self._stops_with(rests[blob], worker))
        self.pipelines[scan.runtime] = [self._with_closed_blob(one, scan) for one in found]
        self._forget(now_ns)

    def stillness(self, key: ProcessKey) -> Optional[Stillness]:
        """How still that process is; None when it has not been sampled."""
        return self._by_key.get(key)

    def still_samples(self, key: ProcessKey) -> int:
        """The number of samples without movement, 0 when unknown."""
        found = self._by_key.get(key)
        return found.samples if found is not None else 0

    def storage_still_samples(self, runtime: str) -> Optional[int]:
        """For how many samples the disk's own counters stood still; None when unseen."""
        found = self._storage.get(runtime)
        return found[1] if found is not None else None

    def fresh(self, runtime: str, now_ns: int) -> bool:
        """True while the last scan is recent enough to rest a verdict on."""
        scanned = self.scanned_ns.get(runtime)
        return scanned is not None and now_ns - scanned <= GAP_TICKS * self.tick_ns

    def alive(self, runtime: str, key: ProcessKey) -> bool:
        """True when the last scan saw that process."""
        scan = self.scans.get(runtime)
        return scan is not None and any(one.key == key for one in _processes(scan))

    def ended(self, runtime: str, key: ProcessKey) -> bool:
        """True when the last scan saw everything, and not that process."""
        scan = self.scans.get(runtime)
        return scan is not None and scan.complete and not self.alive(runtime, key)

    def _compare(self, last: Optional[Stillness], sample: ProcessSample, now_ns: int) -> Stillness:
        fresh = Stillness(sample, now_ns, now_ns, first_cpu_ticks=sample.cpu_ticks)
        if last is None:
            return fresh
        if now_ns - last.at_ns > GAP_TICKS * self.tick_ns:
            return replace(fresh, moved_ns=last.moved_ns)
        counters = (sample.read_bytes, sample.written_bytes)
        before = (last.sample.read_bytes, last.sample.written_bytes)
        if None in counters or None in before:
            return replace(fresh, moved_ns=last.moved_ns)
        if counters != before:
            return replace(fresh, moved_ns=now_ns)
        earlier = (*last.earlier, (last.at_ns, last.sample.cpu_ticks))[-CPU_SAMPLES:]
        return replace(last, sample=sample, at_ns=now_ns, samples=last.samples + 1, earlier=earlier)

    def _stops_with(self, rest: Rest, worker: ProcessSample) -> bool:
        """A blob that goes on being read while the worker stands still feeds another one.

        The blob may stop a sample later: the pipe between them fills up first.
        """
        return rest.samples >= self.still_samples(worker.key) - 1

    def _with_closed_blob(self, pipeline: Pipeline, scan: ExtractionScan) -> Pipeline:
        """The pipeline with the blob that it stood still with, if that was closed where it stood.

        One that moves on, or that only came by at that byte, is of another pipeline.
        """
        worker = pipeline.worker
        if worker is None:
            return pipeline
        known = self._blobs.get(worker.key)
        moved_on = known is not None and any(one.name == known.name and one != known for one in scan.blobs)
        if moved_on or not self.still_samples(worker.key):
            self._blobs.pop(worker.key, None)
            return pipeline
        if pipeline.blob is not None and self._rests[scan.runtime][pipeline.blob].samples:
            self._blobs[worker.key] = pipeline.blob
        if known is None or known in scan.blobs or pipeline.blob_candidates:
            return pipeline
        return replace(pipeline, blob=known, blob_is_open=False)

    def _compare_blobs(self, scan: ExtractionScan, now_ns: int) -> None:
        known = self._rests.get(scan.runtime, {})
        self._rests[scan.runtime] = {blob: self._rest(known.get(blob), now_ns) for blob in scan.blobs}

    def _rest(self, last: Optional[Rest], now_ns: int) -> Rest:
        if last is None or now_ns - last.at_ns > GAP_TICKS * self.tick_ns:
            return Rest(now_ns)
        return Rest(now_ns, last.samples + 1)

    def _compare_storage(self, scan: ExtractionScan, now_ns: int) -> None:
        if scan.pressure is None or scan.pressure.sectors is None:
            self._storage.pop(scan.runtime, None)
            return
        last = self._storage.get(scan.runtime)
        still = (
            last is not None
            and last[0].sectors == scan.pressure.sectors
            and now_ns - last[2] <= GAP_TICKS * self.tick_ns
        )
        samples = last[1] + 1 if still and last is not None else 0
        self._storage[scan.runtime] = (scan.pressure, samples, now_ns)

    def _forget(self, now_ns: int) -> None:
        """Drop processes that no recent scan of any runtime has seen."""
        limit = now_ns - 2 * GAP_TICKS * self.tick_ns
        for key in [key for key, one in self._by_key.items() if one.at_ns < limit]:
            del self._by_key[key]
            self._blobs.pop(key, None)


def _processes(scan: ExtractionScan) -> Iterable[ProcessSample]:
    if scan.daemon is not None:
        yield scan.daemon
    for decompressor in scan.decompressors:
        yield from decompressor.members
    for untar in scan.untars:
        yield untar.process
    yield from scan.orphans
