"""Why a download stands still: a silent peer, before or in the middle of a layer.

Law: slow is not hung.  A connection on which anything moves, one whose bytes
wait here unread, and one that is idle with no layer waiting for it, make no
finding.  Whose connection it is must be certain before anything may be done to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping, Optional, Sequence

from watchdog.core.attempts import Ending
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.demand import Demand
from watchdog.core.download import Download, Phase
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.feeding import fresh_connections
from watchdog.core.observation import ConnectionSample, ProcessKey, ProcessSample
from watchdog.core.policy import SECOND_NS, Thresholds
from watchdog.core.target import Target, port_of, why_no_reset
from watchdog.core.tcp import ESTABLISHED
from watchdog.core.transfer import Transfers

BLACK_HOLE_PROBES = 2
CONTESTED = (
    "more connections wait for a first byte than layers do: one of them may ask for a manifest, "
    "and to reset that would end its pull"
)


def silent_downloads(runtime: str, transfers: Transfers, demand: Demand, limits: Thresholds) -> List[Finding]:
    """download_stalled and header_wait: every download of a runtime whose peer is silent."""
    downloads = transfers.of(runtime)
    seen = transfers.seen_since(runtime)
    found = [_stalled(one, demand, limits) or _header_wait(one, demand, seen, limits) for one in downloads]
    request = _lone_request(runtime, transfers, demand, limits)
    return [one for one in (*found, request) if one is not None]


def subject_of(download: Download) -> str:
    """The name of a download among all findings."""
    return f"{download.daemon.pid}.{download.daemon.start_ticks}/{download.name}"


def runtime_of(daemon: ProcessKey) -> ProcessSample:
    """The runtime's process, as far as a look at its connections shows it."""
    return ProcessSample(daemon, 0, "dockerd")


def target_of(
    download: Download, connection: Optional[ConnectionSample] = None, attempts: Optional[int] = None
) -> Target:
    """The download as an incident keeps it; `attempts` as configured, the log's word counts more."""
    return Target(
        blob=download.blob,
        connection=connection,
        attempts=download.limit or attempts,
        failures=download.failures,
        resets=sum(one.ending is Ending.OURS for one in download.attempts),
    )


# --- in the middle of a layer -------------------------------------------------------


def _stalled(one: Download, demand: Demand, limits: Thresholds) -> Optional[Finding]:
    fitting = one.feed.fitting if one.phase is Phase.UNCLEAR else _of(one.connection)
    if one.samples == 0 or one.phase not in (Phase.RECEIVING, Phase.UNCLEAR):
        return None
    if not fitting or not all(_is_silent(each) for each in fitting):
        return None
    return Finding(
        runtime=one.runtime,
        cause=Cause.DOWNLOAD_STALLED,
        subject=subject_of(one),
        culprit=runtime_of(one.daemon),
        evidence=(*(_silence(each, one.samples) for each in fitting), _stands(one)),
        samples=one.samples,
        threshold=limits.stalled,
        since_ns=one.since_ns,
        target=target_of(one, one.connection, demand.attempts),
        hands_off="" if one.connection else f"{len(fitting)} connections may be this layer's",
    )


def _is_silent(one: ConnectionSample) -> bool:
    """Up, and everything that came is read: the silence is the peer's."""
    return one.state == ESTABLISHED and one.receive_queue_bytes == 0


# --- before the first byte -------------------------------------------------------------


def _header_wait(
    one: Download, demand: Demand, seen_since: Mapping[int, int], limits: Thresholds
) -> Optional[Finding]:
    if one.phase is not Phase.WAITING or one.samples == 0:
        return None
    if not all(_is_silent(each) for each in one.waiting):
        return None
    target = replace(
        target_of(one, None if one.contested else one.waiting[0], demand.attempts),
        registry_ports=tuple(sorted(demand.loopback_ports)),
        older=tuple(sorted(inode for inode, since_ns in seen_since.items() if since_ns < one.unfed_since_ns)),
    )
    return Finding(
        runtime=one.runtime,
        cause=Cause.HEADER_WAIT,
        subject=subject_of(one),
        culprit=runtime_of(one.daemon),
        evidence=(*(_silence(each, one.samples) for each in one.waiting), _stands(one)),
        samples=one.samples,
        threshold=limits.header_wait * 2**target.resets,
        since_ns=one.since_ns,
        target=target,
        hands_off=CONTESTED if one.contested else why_no_reset(target),
    )


def _lone_request(
    runtime: str, transfers: Transfers, demand: Demand, limits: Thresholds
) -> Optional[Finding]:
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
    return Finding(
        runtime=runtime,
        cause=Cause.HEADER_WAIT,
        subject=f"{scan.daemon.pid}.{scan.daemon.start_ticks}/request {oldest.local}",
        culprit=runtime_of(scan.daemon),
        evidence=(_silence(oldest, samples), wants),
        samples=samples,
        threshold=limits.header_wait,
        since_ns=seen[oldest.inode],
        target=Target(connection=oldest),
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
