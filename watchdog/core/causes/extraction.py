"""Why an extraction stands still: the decompressor and the untar.

The stage at fault is the one whose input holds data (or has ended), whose
output has room, and whose counters stand still.  Its state then names the
kind.  What cannot be seen makes no verdict.
"""

from __future__ import annotations

from typing import List, Optional

from watchdog.core.causes.finding import Cause, Finding, process_name
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.extraction import Pipeline, Stillness, Tracks
from watchdog.core.observation import PipeEnd, ProcessSample
from watchdog.core.policy import Thresholds

SPINNING_CORES = 0.5  # asleep when it was sampled, but not really: it runs more than it sleeps
# A healthy decompressor moves a byte with every few milliseconds of CPU.  Counted in CPU and not
# in time, because on a busy host a spinning process gets little of it, and a healthy one too.
SPINNING_CPU_S = 2.0


def decompressor(pipeline: Pipeline, tracks: Tracks, limits: Thresholds) -> Optional[Finding]:
    """The finding about the decompressing stage, if it is the one at fault."""
    worker = pipeline.worker
    still = tracks.stillness(worker.key) if worker else None
    if worker is None or still is None or still.samples == 0:
        return None
    if not (_input_waits(worker.stdin) and _output_has_room(worker.stdout)):
        return None
    held = hold_of(worker)
    cause = _kind_of(worker, still, held)
    if cause is None:
        return None
    return Finding(
        runtime=pipeline.runtime,
        cause=cause,
        culprit=worker,
        evidence=(*_process_evidence(worker, still), *_pipe_evidence(worker), *_blob_evidence(pipeline)),
        samples=still.samples,
        since_ns=still.since_ns,
        threshold=_threshold(cause, limits),
        pipeline=pipeline,
        hands_off=held,
        ripe=cause is not Cause.DECOMPRESSOR_SPINNING or still.cpu_spent_s() >= SPINNING_CPU_S,
    )


def untar(pipeline: Pipeline, tracks: Tracks, limits: Thresholds) -> Optional[Finding]:
    """The finding about the untar child of this pipeline, if it is the one at fault."""
    if pipeline.untar is None:
        return None
    process = pipeline.untar.process
    still = tracks.stillness(process.key)
    if still is None or still.samples == 0 or not _input_waits(process.stdin):
        return None
    if pipeline.worker is not None and tracks.still_samples(pipeline.worker.key) == 0:
        return None  # what still comes out of the decompressor goes somewhere
    held = hold_of(process)
    cause = _untar_kind(process, still, held)
    if cause is None:
        return None
    return Finding(
        runtime=pipeline.runtime,
        cause=cause,
        culprit=process,
        evidence=(*_process_evidence(process, still), *_input_evidence(process), *_blob_evidence(pipeline)),
        samples=still.samples,
        since_ns=still.since_ns,
        threshold=limits.blocked if cause is Cause.UNTAR_BLOCKED else limits.stopped,
        pipeline=pipeline,
        hands_off=held,
    )


def orphan(runtime: str, process: ProcessSample, tracks: Tracks, limits: Thresholds) -> Optional[Finding]:
    """A decompressor with nobody behind it that stands still for a long time: told, not touched."""
    still = tracks.stillness(process.key)
    if still is None or still.samples == 0:
        return None
    text = f"its parent is {process.parent_pid}: the runtime that started it is gone"
    return Finding(
        runtime=runtime,
        cause=Cause.DECOMPRESSOR_ORPHANED,
        culprit=process,
        evidence=(*_process_evidence(process, still), Evidence(Kind.PROCESS_STATE, text)),
        samples=still.samples,
        since_ns=still.since_ns,
        threshold=limits.orphaned,
        # Of its own: the hang that it was in has ended with its pull.
        subject=f"orphan {process_name(process)}",
        hands_off="no pull, load or build waits for it; end it by hand if it is not wanted",
    )


def hold_of(process: ProcessSample) -> str:
    """Why the process stands still on purpose, or ""."""
    if process.tracer_pid or "t" in process.states:
        return f"it is traced by process {process.tracer_pid}" if process.tracer_pid else "it is traced"
    if process.frozen:
        return "its cgroup is frozen"
    return ""


def all_stopped(process: ProcessSample) -> bool:
    """True when every thread is stopped by a signal."""
    return bool(process.states) and set(process.states) == {"T"}


def _kind_of(worker: ProcessSample, still: Stillness, held: str) -> Optional[Cause]:
    if held:
        return Cause.DECOMPRESSOR_HELD
    if all_stopped(worker):
        return Cause.DECOMPRESSOR_STOPPED
    if "D" in worker.states or worker.frozen is None:
        return None  # storage's question, or a freezer that could not be read
    if "R" in worker.states or still.cpu_share() >= SPINNING_CORES:
        return Cause.DECOMPRESSOR_SPINNING
    return Cause.DECOMPRESSOR_BLOCKED if set(worker.states) <= {"S", "I"} and worker.states else None


def _untar_kind(process: ProcessSample, still: Stillness, held: str) -> Optional[Cause]:
    if held:
        return Cause.UNTAR_HELD
    if all_stopped(process):
        return Cause.UNTAR_STOPPED
    asleep = bool(process.states) and set(process.states) <= {"S", "I"}
    if asleep and process.frozen is False and still.cpu_share() < SPINNING_CORES:
        return Cause.UNTAR_BLOCKED
    return None


def _threshold(cause: Cause, limits: Thresholds) -> int:
    if cause is Cause.DECOMPRESSOR_SPINNING:
        return limits.spinning
    return limits.blocked if cause is Cause.DECOMPRESSOR_BLOCKED else limits.stopped


def _input_waits(stdin: Optional[PipeEnd]) -> bool:
    """Data lies in the input, or it has ended: there is something to do."""
    return stdin is not None and (bool(stdin.fill_bytes) or stdin.hung_up is True)


def _output_has_room(stdout: Optional[PipeEnd]) -> bool:
    return stdout is not None and stdout.has_room is True


def _process_evidence(process: ProcessSample, still: Stillness) -> List[Evidence]:
    states = {
        "T": "stopped by a signal",
        "R": "running",
        "S": "asleep",
        "t": "traced",
        "D": "in uninterruptible sleep",
    }
    word = states.get(process.states[:1], process.states or "unknown")
    if process.frozen:
        word = "frozen by its cgroup"
    waits = f", waiting in {process.waits[0]}" if process.states[:1] in ("S", "D") and process.waits else ""
    cpu = f", {still.cpu_spent_s():.1f} s of CPU spent" if process.states[:1] in ("R", "S") else ""
    return [
        Evidence(Kind.PROCESS_STATE, f"{process.comm} (pid {process.key.pid}) is {word}{waits}{cpu}"),
        Evidence(
            Kind.COUNTERS,
            f"it read {process.read_bytes} and wrote {process.written_bytes} bytes, "
            f"and not one more in {still.samples} samples",
        ),
    ]


def _input_evidence(process: ProcessSample) -> List[Evidence]:
    if process.stdin is None:
        return []
    if process.stdin.fill_bytes:
        return [Evidence(Kind.PIPE, f"its input pipe holds {process.stdin.fill_bytes} bytes")]
    return [Evidence(Kind.PIPE, "its input has ended")]


def _pipe_evidence(process: ProcessSample) -> List[Evidence]:
    return [*_input_evidence(process), Evidence(Kind.PIPE, "its output pipe has room")]


def _blob_evidence(pipeline: Pipeline) -> List[Evidence]:
    blob = pipeline.blob
    if blob is None:
        return []
    if not pipeline.blob_is_open:
        text = f"{blob.name} of {blob.size_bytes} bytes was its input; its client has given up"
        return [Evidence(Kind.BLOB_FILE, text)]
    text = f"{blob.name} stands at {blob.position_bytes} of {blob.size_bytes} bytes"
    return [Evidence(Kind.BLOB_FILE, text)]
