"""One layer on its way: its file, what feeds it, its attempts, for how long it has stood still.

A download file is one in which dockerd still writes at the end (position and
size are equal).  Once the layer is complete it is read from the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Mapping, Optional, Sequence, Tuple

from watchdog.core.attempts import FAILED, JOIN_WITHIN_NS, QUIET_NS, TAIL_BYTES, Attempt, Ending, Failure
from watchdog.core.extraction import GAP_TICKS
from watchdog.core.feeding import Feed, Stand
from watchdog.core.observation import BlobSample, ConnectionSample, ProcessKey, TransferScan
from watchdog.core.policy import SECOND_NS

RATE_OVER_NS = 10 * SECOND_NS
ATTEMPTS_KEPT = 40
SETTLED_SAMPLES = 3  # after so many looks without a connection a layer was not just completed


class Phase(str, Enum):
    """What a download does."""

    RECEIVING = "receiving"  # a connection feeds it, or fed it until it fell silent
    WAITING = "waiting"  # requested, and no byte has come
    BETWEEN = "between"  # no connection: dockerd waits before its next attempt
    UNCLEAR = "unclear"  # something feeds it, but it is not certain what


@dataclass(frozen=True)
class Download:
    """One layer on its way.

    `samples`: how many looks in a row found no movement, since `since_ns`.
    `offset_bytes`: its size when the present attempt began, None where that was
    not seen.  `waiting`: the connections that can be its request without an
    answer; `contested`: there are more of those than layers that wait, so one
    may be a manifest's; `asked`: the local ends of all that ever were.
    `cut_backs`: how often it was thrown away and begun anew.
    `history`: (when, size) over the last ten seconds.
    """

    runtime: str
    daemon: ProcessKey
    blob: BlobSample
    at_ns: int
    since_ns: int
    began_ns: int
    samples: int = 0
    phase: Phase = Phase.BETWEEN
    feed: Feed = field(default_factory=Feed)
    offset_bytes: Optional[int] = None
    unfed_since_ns: int = 0
    waiting: Tuple[ConnectionSample, ...] = ()
    contested: bool = False
    asked: Tuple[str, ...] = ()
    attempts: Tuple[Attempt, ...] = ()
    cut_backs: int = 0
    history: Tuple[Tuple[int, int], ...] = ()

    @property
    def name(self) -> str:
        return self.blob.name

    @property
    def connection(self) -> Optional[ConnectionSample]:
        """The one that feeds it, where that is certain."""
        return self.feed.connection

    @property
    def rate(self) -> float:
        """Bytes a second over the last ten seconds."""
        if len(self.history) < 2 or self.history[-1][0] <= self.history[0][0]:
            return 0.0
        grown = self.history[-1][1] - self.history[0][1]
        return max(0.0, grown / ((self.history[-1][0] - self.history[0][0]) / SECOND_NS))

    @property
    def failed(self) -> Tuple[Attempt, ...]:
        """The attempts that failed beyond doubt.

        The last one may have ended because the layer is complete, until the log
        says otherwise or nothing has followed for some looks.
        """
        if not self.attempts or self.attempts[-1].ending is Ending.OPEN:
            return self.attempts[:-1]
        last = self.attempts[-1]
        sure = bool(last.told) or self.samples >= SETTLED_SAMPLES
        return self.attempts if sure else self.attempts[:-1]

    @property
    def failures(self) -> int:
        """How many attempts failed: as we saw it, or as the log counted where that is more."""
        seen = sum(one.ending in FAILED for one in self.failed)
        return max([seen, *(one.number for one in self.attempts if one.number is not None)])

    @property
    def limit(self) -> Optional[int]:
        """dockerd's own maximum of attempts, from its log; None: it has not told yet."""
        return next((one.limit for one in reversed(self.attempts) if one.limit is not None), None)

    def stand(self) -> Stand:
        """What tells which connection fits."""
        return Stand(self.blob, self.offset_bytes, self.rate)


# --- from one look to the next ------------------------------------------------------


def begun(blob: BlobSample, scan: TransferScan, now_ns: int) -> Download:
    """A download file that was not there before."""
    return Download(
        runtime=scan.runtime,
        daemon=scan.daemon,
        blob=blob,
        at_ns=now_ns,
        since_ns=now_ns,
        began_ns=now_ns,
        offset_bytes=0 if blob.size_bytes == 0 else None,
        unfed_since_ns=now_ns,
        history=((now_ns, blob.size_bytes),),
    )


def gone_on(last: Download, blob: BlobSample, scan: TransferScan, now_ns: int, tick_ns: int) -> Download:
    """The same file one look later; what feeds it is not judged yet."""
    grown = blob.size_bytes - last.blob.size_bytes
    gap = now_ns - last.at_ns > GAP_TICKS * tick_ns
    still = grown == 0 and not gap and not _connection_moved(last, scan)
    if grown < 0:
        last = replace(last, offset_bytes=0, cut_backs=last.cut_backs + 1, unfed_since_ns=now_ns, history=())
    kept = tuple(one for one in last.history if now_ns - one[0] <= RATE_OVER_NS)
    return replace(
        last,
        blob=blob,
        at_ns=now_ns,
        since_ns=last.since_ns if still else now_ns,
        samples=last.samples + 1 if still else 0,
        history=(*kept, (now_ns, blob.size_bytes)),
    )


def with_feed(one: Download, feed: Feed, scan: TransferScan, opened_ns: Mapping[int, int]) -> Download:
    """The download with what feeds it now, and its attempts brought up to date.

    `opened_ns`: when each connection began, by inode.
    """
    now_ns = one.at_ns
    if feed.connection is not None:
        attempts = _with_present(one, feed.connection, scan, opened_ns)
        return replace(
            one, feed=feed, phase=Phase.RECEIVING, attempts=attempts, unfed_since_ns=now_ns, waiting=()
        )
    if feed.fitting:
        return replace(one, feed=feed, phase=Phase.UNCLEAR, waiting=())
    if one.feed.certain or _request_is_gone(one, scan):  # where it stands the next attempt begins
        one = replace(
            one, offset_bytes=one.blob.size_bytes, unfed_since_ns=now_ns, since_ns=now_ns, samples=0
        )
    return replace(one, feed=feed, phase=Phase.BETWEEN, waiting=())


def with_waiting(one: Download, waiting: Tuple[ConnectionSample, ...], contested: bool) -> Download:
    """The download that waits for its first byte on one of these connections."""
    asked = tuple(dict.fromkeys((*one.asked, *(each.local for each in waiting))))
    return replace(
        one, phase=Phase.WAITING, waiting=waiting, contested=contested, asked=asked[-ATTEMPTS_KEPT:]
    )


def ended(one: Download, at_ns: int, ending: Ending) -> Download:
    """The download whose present attempt is over; where it stands the next one begins."""
    last = one.attempts[-1]
    ended_ns = max(at_ns, last.last_byte_ns or last.began_ns)
    layer_bytes = max(last.layer_bytes, one.blob.size_bytes - last.from_bytes)
    over = replace(
        last,
        ending=ending,
        ended_ns=ended_ns,
        layer_bytes=layer_bytes,
        last_byte_ns=None if _ended_unseen(last, ended_ns, layer_bytes) else last.last_byte_ns,
    )
    return replace(one, attempts=(*one.attempts[:-1], over), offset_bytes=one.blob.size_bytes)


def with_failure(one: Download, failure: Failure) -> Download:
    """The download with what the log says of its last attempt, or of one that brought no byte."""
    before, last = one.attempts, one.attempts[-1] if one.attempts else None
    if last is not None and ended_near(last, failure):
        before = before[:-1]
    else:
        last = Attempt(
            remote="",
            local=failure.local,
            began_ns=failure.at_ns,
            from_bytes=one.offset_bytes or 0,
            ended_ns=failure.at_ns,
        )
    told = replace(last, ending=failure.ending, number=failure.number, limit=failure.limit, told=failure.text)
    return replace(one, attempts=(*before, told)[-ATTEMPTS_KEPT:])


def ended_near(attempt: Attempt, failure: Failure) -> bool:
    """Whether an attempt can be the one that a line of the log tells of."""
    if attempt.ended_ns is None or attempt.told:
        return False
    if not failure.since_ns - JOIN_WITHIN_NS <= attempt.ended_ns <= failure.at_ns + JOIN_WITHIN_NS:
        return False
    if failure.local:
        return attempt.local == failure.local
    return attempt.ending in (Ending.UNKNOWN, failure.ending)


def subject_of(failure: Failure, downloads: Sequence[Download]) -> Optional[Download]:
    """The download that a line about a failed attempt is about, if that can be told.

    Attempts that ended at one moment with one error are told apart by nothing,
    and do not differ.
    """
    over = [one for one in downloads if one.attempts and ended_near(one.attempts[-1], failure)]
    if over:
        return over[0]
    if failure.local:  # an attempt that brought no byte
        asked = [one for one in downloads if failure.local in one.asked]
        return asked[0] if len(asked) == 1 else None
    idle = [one for one in downloads if one.phase in (Phase.BETWEEN, Phase.WAITING)]
    begun_anew = [one for one in idle if one.cut_backs and one.since_ns == one.at_ns]
    found = begun_anew or idle
    return found[0] if len(found) == 1 else None


def _ended_unseen(last: Attempt, ended_ns: int, layer_bytes: int) -> bool:
    """Whether bytes came after the last look at it, which was too long ago to say when."""
    came = layer_bytes - last.layer_bytes > TAIL_BYTES
    return came and last.last_byte_ns is not None and ended_ns - last.last_byte_ns > QUIET_NS


def _request_is_gone(last: Download, scan: TransferScan) -> bool:
    """Whether it waited for a first byte on connections of which none is left."""
    there = {one.inode for one in scan.connections}
    return bool(last.waiting) and not any(one.inode in there for one in last.waiting)


def _connection_moved(last: Download, scan: TransferScan) -> bool:
    """Whether the connection that fed it has received something, or is gone."""
    if last.connection is None:
        return False
    now = next((one for one in scan.connections if one.inode == last.connection.inode), None)
    return now is None or now.received_bytes != last.connection.received_bytes


def _with_present(
    one: Download, connection: ConnectionSample, scan: TransferScan, opened_ns: Mapping[int, int]
) -> Tuple[Attempt, ...]:
    """The attempts with the present one begun or brought up to date."""
    before, last = one.attempts, one.attempts[-1] if one.attempts else None
    if last is not None and last.ending is Ending.OPEN:
        if any(each.local == last.local for each in scan.connections):
            before, last = before[:-1], replace(last, local=connection.local, remote=connection.remote)
        else:
            before, last = ended(one, one.at_ns, Ending.UNKNOWN).attempts, None
    else:
        last = None
    if last is None:
        began = opened_ns.get(connection.inode, one.at_ns)
        last = Attempt(connection.remote, connection.local, began, one.offset_bytes or 0)
    return (*before, _brought_up_to_date(last, one, connection))[-ATTEMPTS_KEPT:]


def _brought_up_to_date(attempt: Attempt, one: Download, connection: ConnectionSample) -> Attempt:
    silent_ns = connection.silent_ns
    now = replace(
        attempt,
        layer_bytes=max(0, one.blob.size_bytes - attempt.from_bytes),
        last_byte_ns=None if silent_ns is None else one.at_ns - silent_ns,
        unanswered_probes=connection.unanswered_probes,
    )
    if silent_ns is None or silent_ns < QUIET_NS:
        return now
    return replace(now, quiet_since_ns=now.last_byte_ns, quiet_at_bytes=now.layer_bytes)
