"""Attempts at a layer that end again and again: a limit on the way, or a bad way.

dockerd tries a layer 5 or 6 times, and its last error may hide the first: a
registry that ignores ranges makes every second attempt fail with "expected HTTP
206", whatever ended the ones between.

Law: one cut is weather.  Ends that are ours, or a person's, count for nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping, Optional, Sequence, Tuple

from watchdog.core.attempts import CUT, Attempt, Ending
from watchdog.core.causes.download import runtime_of, subject_of, target_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.download import Download
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.limits import Limit, LimitKind, infer_limit
from watchdog.core.policy import Thresholds
from watchdog.core.transfer import Transfers

_CAUSE_OF: Mapping[LimitKind, Cause] = {
    LimitKind.GAP: Cause.TIME_LIMIT,
    LimitKind.TOTAL_TIME: Cause.TIME_LIMIT,
    LimitKind.IDLE_EXPIRY: Cause.TIME_LIMIT,
    LimitKind.SIZE: Cause.SIZE_LIMIT,
}
_TOPICS = {Cause.RANGE_UNSUPPORTED: "range"}  # a loop that turns out to be a limit stays one subject
_LAST_TOLD = 4  # attempts in a sentence


def failing_downloads(runtime: str, transfers: Transfers, limits: Thresholds) -> List[Finding]:
    """range_unsupported, and beside it what cuts the attempts: time_limit, size_limit or reset_loop."""
    downloads = transfers.of(runtime)
    judged = [_range_unsupported(one) for one in downloads]
    judged += [_limited(one, limits) or _loop(one, limits) for one in downloads]
    return [one for one in judged if one is not None]


def cuts(download: Download) -> Tuple[Attempt, ...]:
    """The attempts that the network or the peer ended."""
    return tuple(one for one in download.failed if one.ending in CUT)


def _range_unsupported(one: Download) -> Optional[Finding]:
    refused = [each for each in one.attempts if each.ending is Ending.RANGE_REFUSED]
    if not refused or not one.cut_backs:
        return None
    told = Evidence(Kind.LOG, f"the runtime says: {refused[-1].told}")
    again = f"{one.name} was thrown away and begun anew {one.cut_backs} time(s)"
    evidence = (told, Evidence(Kind.BLOB_FILE, again), *_ends(cuts(one)))
    return _finding(one, Cause.RANGE_UNSUPPORTED, evidence, len(refused), 1, None)


def _limited(one: Download, limits: Thresholds) -> Optional[Finding]:
    ended = cuts(one)
    limit = infer_limit([each.as_end() for each in ended])
    cause = _CAUSE_OF.get(limit.kind) if limit is not None else None
    if limit is None or cause is None:
        return None
    return _finding(one, cause, (*_ends(ended), _stands(one)), len(ended), limits.alike, limit)


def _loop(one: Download, limits: Thresholds) -> Optional[Finding]:
    ended = cuts(one)
    if not ended:
        return None
    limit = infer_limit([each.as_end() for each in ended])
    evidence = (*_ends(ended), _stands(one))
    return _finding(one, Cause.RESET_LOOP, evidence, len(ended), limits.cuts, limit)


def _finding(
    one: Download,
    cause: Cause,
    evidence: Sequence[Evidence],
    samples: int,
    threshold: int,
    limit: Optional[Limit],
) -> Finding:
    return Finding(
        runtime=one.runtime,
        cause=cause,
        subject=f"{subject_of(one)} {_TOPICS.get(cause, 'cuts')}",
        culprit=runtime_of(one.daemon),
        evidence=tuple(evidence),
        samples=samples,
        threshold=threshold,
        since_ns=one.attempts[0].began_ns,
        target=replace(target_of(one), limit=limit),
    )


def _ends(ended: Sequence[Attempt]) -> List[Evidence]:
    if not ended:
        return []
    told = "; ".join(_sentence(one) for one in ended[-_LAST_TOLD:])
    return [Evidence(Kind.SOCKET, f"{len(ended)} connections of this layer were cut: {told}")]


def _sentence(one: Attempt) -> str:
    seconds = ((one.ended_ns or one.began_ns) - one.began_ns) / 1e9
    begin = f"from {one.from_bytes}" if one.resumed else "from the beginning"
    return f"{one.ending.value} after {seconds:.0f} s and {one.layer_bytes} bytes {begin}"


def _stands(one: Download) -> Evidence:
    text = f"{one.name} holds {one.blob.size_bytes} bytes after {len(one.attempts)} attempts"
    return Evidence(Kind.BLOB_FILE, text)
