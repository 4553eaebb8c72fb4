"""Why a download stands still: a silent peer, before or in the middle of a layer.

Law: slow is not hung.  A connection on which anything moves, one whose bytes
wait here unread, and one that is idle with no layer waiting for it, make no
finding.  Whose connection it is must be certain before anything may be done to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import List, Optional, Sequence, Tuple

from watchdog.core.attempts import Ending
from watchdog.core.demand import Demand
from watchdog.core.download import Download, Phase
from watchdog.core.evidence import Evidence, Kind, suffices
from watchdog.core.feeding import fresh_connections
from watchdog.core.limits import Limit
from watchdog.core.observation import BlobSample, ConnectionSample, ProcessKey
from watchdog.core.transfer import Transfers

SECOND_NS = 1_000_000_000
SPARE_ATTEMPTS = 2  # never the last attempt, and one for a failure of the network's own
ESTABLISHED = 1
BLACK_HOLE_PROBES = 2


class DownloadCause(str, Enum):
    """What is wrong with a download; the values are metric labels."""

    DOWNLOAD_STALLED = "download_stalled"
    HEADER_WAIT = "header_wait"
    LAYER_LOCKED = "layer_locked"
    QUEUE_BLOCKED = "queue_blocked"
    RESET_LOOP = "reset_loop"
    TIME_LIMIT = "time_limit"
    SIZE_LIMIT = "size_limit"
    RANGE_UNSUPPORTED = "range_unsupported"


@dataclass(frozen=True)
class DownloadLimits:
    """How many samples in a row must agree before an incident is confirmed.

    `header_wait` doubles with each reset of the same layer.  `waiting`: of a pull
    that has nothing of its own under way.  `cuts`: attempts of one layer.
    """

    stalled: int = 30
    header_wait: int = 300
    waiting: int = 10
    cuts: int = 3
    alike: int = 2


@dataclass(frozen=True)
class DownloadFinding:
    """A download that stands still or does not get on, as this tick's samples show it.

    `subject` names it for as long as it is the same download or waiting client.
    `connection`: the one to reset, where that is certain.  `resets_left`: how
    many resets dockerd's attempts allow.  `holders`: subjects of the findings
    that this one waits for.  `hands_off`: why nothing may be done.
    """

    runtime: str
    cause: DownloadCause
    subject: str
    daemon: ProcessKey
    evidence: Tuple[Evidence, ...]
    samples: int
    threshold: int
    since_ns: int
    blob: Optional[BlobSample] = None
    connection: Optional[ConnectionSample] = None
    client: Optional[ProcessKey] = None
    resets_left: int = 0
    holders: Tuple[str, ...] = ()
    limit: Optional[Limit] = None
    hands_off: str = ""

    @property
    def confirmed(self) -> bool:
        """Law 3: enough samples, and two independent kinds of evidence."""
        return self.samples >= self.threshold and suffices(self.evidence)


def silent_downloads(
    runtime: str, transfers: Transfers, demand: Demand, limits: DownloadLimits
) -> List[DownloadFinding]:
    """download_stalled and header_wait: every download of a runtime whose peer is silent."""
    downloads = transfers.of(runtime)
    found = [_stalled(one, limits) or _header_wait(one, demand, limits) for one in downloads]
    request = _lone_request(runtime, transfers, demand, limits)
    return [one for one in (*found, request) if one is not None]


def resets_left(download: Download) -> int:
    """How many resets dockerd's attempts allow: m - failures - 2; one where m is not known."""
    ours = sum(one.ending is Ending.OURS for one in download.attempts)
    if download.limit is None:
        return max(0, 1 - max(ours, download.failures))
    return max(0, download.limit - download.failures - SPARE_ATTEMPTS)


def subject_of(download: Download) -> str:
    """The name of a download among all findings."""
    return f"{download.daemon.pid}.{download.daemon.start_ticks}/{download.name}"


def is_loopback(end: str) -> bool:
    """Whether a connection's end is on this machine."""
    return end.startswith(("127.", "[::1]", "[::ffff:127."))


def port_of(end: str) -> int:
    """The port of a connection's end."""
    return int(end.rpartition(":")[2])


# --- in the middle of a layer -------------------------------------------------------


def _stalled(one: Download, limits: DownloadLimits) -> Optional[DownloadFinding]:
    fitting = one.feed.fitting if one.phase is Phase.UNCLEAR else _of(one.connection)
    if one.samples == 0 or one.phase not in (Phase.RECEIVING, Phase.UNCLEAR):
        return None
    if not fitting or not all(_is_silent(each) for each in fitting):
        return None
    return DownloadFinding(
        runtime=one.runtime,
        cause=DownloadCause.DOWNLOAD_STALLED,
        subject=subject_of(one),
        daemon=one.daemon,
        evidence=(*(_silence(each, one.samples) for each in fitting), _stands(one)),
        samples=one.samples,
        threshold=limits.stalled,
        since_ns=one.since_ns,
        blob=one.blob,
        connection=one.connection,
        resets_left=resets_left(one),
        hands_off="" if one.connection else f"{len(fitting)} connections may be this layer's",
    )


def _is_silent(one: ConnectionSample) -> bool:
    """Up, and everything that came is read: the silence is the peer's."""
    return one.state == ESTABLISHED and one.receive_queue_bytes == 0


# --- before the first byte -------------------------------------------------------------


def _header_wait(one: Download, demand: Demand, limits: DownloadLimits) -> Optional[DownloadFinding]:
    if one.phase is not Phase.WAITING or one.samples == 0:
        return None
    if not all(_is_silent(each) for each in one.waiting):
        return None
    ours = sum(attempt.ending is Ending.OURS for attempt in one.attempts)
    return DownloadFinding(
        runtime=one.runtime,
        cause=DownloadCause.HEADER_WAIT,
        subject=subject_of(one),
        daemon=one.daemon,
        evidence=(*(_silence(each, one.samples) for each in one.waiting), _stands(one)),
        samples=one.samples,
        threshold=limits.header_wait * 2**ours,
        since_ns=one.since_ns,
        blob=one.blob,
        connection=None if one.contested else one.waiting[0],
        resets_left=min(1, resets_left(one)) if not ours else 0,
        hands_off=_why_hands_off(one, demand),
    )


def _why_hands_off(one: Download, demand: Demand) -> str:
    if one.contested:
        return (
            "more connections wait for a first byte than layers do: one of them may ask for a manifest, "
            "and to reset that would end its pull"
        )
    for each in one.waiting:
        if is_loopback(each.remote) and port_of(each.remote) not in demand.loopback_ports:
            return f"{each.remote} is a proxy on this machine, which may fetch the whole layer first"
    return ""


def _lone_request(
    runtime: str, transfers: Transfers, demand: Demand, limits: DownloadLimits
) -> Optional[DownloadFinding]:
    """A request to a registry that is not a layer's: a manifest's, perhaps.  Told only."""
    scan, since_ns = transfers.scans.get(runtime), demand.since_ns
    if scan is None or since_ns is None or demand.pushing:
        return None
    downloads = transfers.of(runtime)
    if any(one.phase is Phase.WAITING for one in downloads):
        return None  # told with that download
    taken = {each.inode for one in downloads for each in one.feed.fitting}
    seen = transfers.seen_since(runtime)
    asked = fresh_connections(scan, taken, seen, since_ns - 2 * transfers.tick_ns)
    mine = [one for one in asked if _is_silent(one) and port_of(one.remote) in demand.ports]
    if not mine or any(one.samples == 0 for one in downloads):
        return None
    oldest = max(mine, key=lambda one: one.silent_ns or 0)
    samples = transfers.quiet_samples(runtime, oldest.inode)
    wants = Evidence(Kind.PROCESS_STATE, f"{_names(demand)} waits, and no layer of it is being downloaded")
    return DownloadFinding(
        runtime=runtime,
        cause=DownloadCause.HEADER_WAIT,
        subject=f"{scan.daemon.pid}.{scan.daemon.start_ticks}/request {oldest.local}",
        daemon=scan.daemon,
        evidence=(_silence(oldest, samples), wants),
        samples=samples,
        threshold=limits.header_wait,
        since_ns=seen[oldest.inode],
        connection=oldest,
        hands_off="it is no layer's request; to reset a manifest's would end the pull",
    )


def _names(demand: Demand) -> str:
    names = dict.fromkeys(one.client.image or "a pull" for one in demand.waiting)
    return ", ".join(names)


# --- evidence ----------------------------------------------------------------------------


def _of(one: Optional[ConnectionSample]) -> Sequence[ConnectionSample]:
    return (one,) if one is not None else ()


def _silence(one: ConnectionSample, samples: int) -> Evidence:
    seconds = (one.silent_ns or 0) / SECOND_NS
    if one.received_bytes:
        what = f"received {one.received_bytes} bytes, the last {seconds:.0f} s ago"
    else:
        what = f"has received nothing in {seconds:.0f} s"
    probes = one.unanswered_probes or 0
    lost = f"; {probes} keep-alive probes were not answered" if probes >= BLACK_HOLE_PROBES else ""
    text = f"the connection {one.local} to {one.remote} is up and {what}, none in {samples} samples{lost}"
    return Evidence(Kind.SOCKET, text)


def _stands(one: Download) -> Evidence:
    text = f"{one.name} stands at {one.blob.size_bytes} bytes, unchanged in {one.samples} samples"
    return Evidence(Kind.BLOB_FILE, text)
