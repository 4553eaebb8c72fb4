"""The downloads of all runtimes, from one look at their connections and files to the next.

Method: as in core/extraction, samples are compared one by one; any movement of
a file or of its connection, however small, starts the count anew, and so does
a gap of more than three ticks.  The kernel's events and the runtime's log only
say how an attempt ended, where a look finds its connection gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from watchdog.core.attempts import JOIN_WITHIN_NS, Ending, Failure, read_failure
from watchdog.core.download import (
    Download,
    Phase,
    begun,
    ended,
    gone_on,
    subject_of,
    with_failure,
    with_feed,
    with_waiting,
)
from watchdog.core.extraction import GAP_TICKS
from watchdog.core.feeding import Feeding, fresh_connections
from watchdog.core.observation import BlobSample, LogLine, TcpEvent, TransferScan
from watchdog.core.policy import SECOND_NS
from watchdog.core.target import port_of
from watchdog.core.tcp import CLOSE, CLOSE_WAIT, ESTABLISHED, SYN_SENT
from watchdog.core.upload import Uploads

FAILURES_KEPT = 40
ENDS_KEPT = 256
FINISHED_KEPT = 256
WRITE_BYTES = 256 * 1024  # more than the runtime writes at a time


@dataclass(frozen=True)
class _Sight:
    """A connection: first seen, last seen, and in how many looks it received nothing more."""

    since_ns: int
    at_ns: int
    received_bytes: Optional[int]
    samples: int = 0


class Transfers:
    """Every download of every runtime, by the scans of the transfer sensor.

    `finished`: the sizes of the layers that came, the newest last.  `uploads`: what
    the same connections send.
    """

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self.downloads: Dict[str, Dict[str, Download]] = {}
        self.scans: Dict[str, TransferScan] = {}
        self.scanned_ns: Dict[str, int] = {}
        self.finished: Dict[str, Tuple[int, ...]] = {}
        self.uploads = Uploads()
        self._feeding: Dict[str, Feeding] = {}
        self._sights: Dict[str, Dict[int, _Sight]] = {}
        self._begins: Dict[int, int] = {}  # local port -> when it was connected
        self._ends: Dict[int, Tuple[int, Ending]] = {}  # local port -> when and how it ended
        self._failures: Dict[str, List[Failure]] = {}  # those that are not joined to an attempt yet

    # --- what comes in: events and lines before the scan of their frame ---------------------

    def note_event(self, event: TcpEvent) -> None:
        """Take in what the kernel tells of a connection's beginning or end."""
        if event.what == "state" and event.old_state == SYN_SENT and event.new_state == ESTABLISHED:
            self._begins.pop(event.local_port, None)
            self._begins[event.local_port] = event.at_ns
            while len(self._begins) > ENDS_KEPT:
                del self._begins[next(iter(self._begins))]
        ending = _ending_of(event)
        if ending is None or not event.local_port:
            return
        known = self._ends.pop(event.local_port, None)
        if known is not None and ending is Ending.UNKNOWN and event.at_ns - known[0] < SECOND_NS:
            self._ends[event.local_port] = known  # the reset or FIN before says more than the close
        else:
            self._ends[event.local_port] = (event.at_ns, ending)
        while len(self._ends) > ENDS_KEPT:
            del self._ends[next(iter(self._ends))]

    def note_line(self, line: LogLine, now_ns: int) -> None:
        """Take in a line of a runtime's log; its source is the runtime's name."""
        failure = read_failure(line.text, self.scanned_ns.get(line.source, now_ns), now_ns)
        if failure is not None:
            waiting = self._failures.setdefault(line.source, [])
            self._failures[line.source] = [*waiting, failure][-FAILURES_KEPT:]

    def update(self, scan: TransferScan, now_ns: int) -> None:
        """Take in one scan of one runtime."""
        name = scan.runtime
        before = self._before(scan)
        self._meet(scan, now_ns)
        found = [
            gone_on(before[one.name], one, scan, now_ns, self.tick_ns)
            if one.name in before
            else begun(one, scan, now_ns)
            for one in scan.blobs
            if is_written(one) or _is_being_written(one, before)
        ]
        feeds = self._feeding.setdefault(name, Feeding()).pair(scan, [one.stand() for one in found])
        opened = self._opened_ns(scan)
        found = [with_feed(one, feeds[one.name], scan, opened) for one in found]
        found = self._with_waiting(found, scan)
        found = [self._with_end(one, scan, now_ns) for one in found]
        found = self._join(name, found, now_ns)
        self.downloads[name] = {one.name: one for one in found}
        self._note_finished(name, before, scan)
        self.uploads.update(scan, now_ns, self.tick_ns)
        self.scans[name], self.scanned_ns[name] = scan, now_ns

    # --- questions --------------------------------------------------------------------------

    def of(self, runtime: str) -> Tuple[Download, ...]:
        """The downloads of a runtime as the last scan showed them."""
        return tuple(self.downloads.get(runtime, {}).values())

    def fresh(self, runtime: str, now_ns: int) -> bool:
        """True while the last scan is recent enough to rest a verdict on."""
        scanned = self.scanned_ns.get(runtime)
        return scanned is not None and now_ns - scanned <= GAP_TICKS * self.tick_ns

    def seen_since(self, runtime: str) -> Dict[int, int]:
        """When each connection that is there now was first seen, by inode."""
        return {inode: one.since_ns for inode, one in self._sights.get(runtime, {}).items()}

    def quiet_samples(self, runtime: str, inode: int) -> int:
        """In how many looks in a row that connection had received nothing more."""
        found = self._sights.get(runtime, {}).get(inode)
        return found.samples if found is not None else 0

    # --- inside -----------------------------------------------------------------------------

    def _before(self, scan: TransferScan) -> Dict[str, Download]:
        last = self.scans.get(scan.runtime)
        if last is None or last.daemon != scan.daemon:
            self._feeding.pop(scan.runtime, None)
            return {}  # another daemon: nothing of the old one goes on
        return self.downloads.get(scan.runtime, {})

    def _meet(self, scan: TransferScan, now_ns: int) -> None:
        known = self._sights.get(scan.runtime, {})
        self._sights[scan.runtime] = {
            one.inode: self._sight(known.get(one.inode), one.received_bytes, now_ns)
            for one in scan.connections
        }

    def _sight(self, last: Optional[_Sight], received: Optional[int], now_ns: int) -> _Sight:
        if last is None:
            return _Sight(now_ns, now_ns, received)
        still = received == last.received_bytes and now_ns - last.at_ns <= GAP_TICKS * self.tick_ns
        return _Sight(last.since_ns, now_ns, received, last.samples + 1 if still else 0)

    def _opened_ns(self, scan: TransferScan) -> Dict[int, int]:
        """When each connection began: as the kernel told, else when it was first seen."""
        first = self.seen_since(scan.runtime)
        told = {one.inode: self._begins.get(port_of(one.local), 0) for one in scan.connections}
        soon = GAP_TICKS * self.tick_ns  # a beginning that is longer ago was another socket's
        return {
            inode: told[inode] if 0 <= first[inode] - told[inode] <= soon else first[inode] for inode in told
        }

    def _with_waiting(self, downloads: Sequence[Download], scan: TransferScan) -> List[Download]:
        """Those that nothing feeds, with the connections on which their first byte may be awaited."""
        since = self.seen_since(scan.runtime)
        taken = {each.inode for one in downloads for each in one.feed.fitting}
        unfed = [one for one in downloads if one.phase is Phase.BETWEEN]
        fresh = {
            one.name: fresh_connections(scan, taken, since, one.unfed_since_ns - 2 * self.tick_ns)
            for one in unfed
        }
        contested = len({each.inode for found in fresh.values() for each in found}) > len(unfed)
        return [
            with_waiting(one, tuple(fresh[one.name]), contested) if fresh.get(one.name) else one
            for one in downloads
        ]

    def _with_end(self, one: Download, scan: TransferScan, now_ns: int) -> Download:
        """Close the last attempt if its connection is gone: as the kernel told, else as unknown."""
        last = one.attempts[-1] if one.attempts else None
        if last is None or last.ending is not Ending.OPEN:
            return one
        if any(each.local == last.local for each in scan.connections):
            return one
        told = self._ends.get(port_of(last.local))
        if told is not None and told[0] >= last.began_ns - 2 * self.tick_ns:
            return ended(one, *told)
        looked_ns = self.scanned_ns.get(scan.runtime, now_ns)
        return ended(one, (looked_ns + now_ns) // 2, Ending.UNKNOWN)

    def _join(self, runtime: str, downloads: Sequence[Download], now_ns: int) -> List[Download]:
        """Give each line about a failed attempt to the download that it is about."""
        found = {one.name: one for one in downloads}
        left: List[Failure] = []
        for failure in self._failures.get(runtime, []):
            subject = subject_of(failure, list(found.values()))
            if subject is not None:
                found[subject.name] = with_failure(subject, failure)
            elif now_ns - failure.at_ns <= JOIN_WITHIN_NS:
                left.append(failure)
        self._failures[runtime] = left
        return list(found.values())

    def _note_finished(self, name: str, before: Dict[str, Download], scan: TransferScan) -> None:
        """A file that is read from its beginning now holds a complete layer."""
        written = self.downloads[name]
        read = [one for one in scan.blobs if one.name in before and one.name not in written]
        sizes = tuple(one.size_bytes for one in read)
        self.finished[name] = (*self.finished.get(name, ()), *sizes)[-FINISHED_KEPT:]


def is_written(blob: BlobSample) -> bool:
    """Whether a layer's file is still being downloaded."""
    return blob.position_bytes == blob.size_bytes


def _is_being_written(blob: BlobSample, before: Mapping[str, Download]) -> bool:
    """Size and position are two looks, between which a write may lie: it goes on where it was."""
    last = before.get(blob.name)
    return (
        last is not None
        and blob.size_bytes > last.blob.size_bytes
        and blob.size_bytes - blob.position_bytes <= WRITE_BYTES
    )


def _ending_of(event: TcpEvent) -> Optional[Ending]:
    if event.what == "reset_received":
        return Ending.RESET
    if event.what != "state" or event.old_state != ESTABLISHED:
        return None
    if event.new_state == CLOSE_WAIT:
        return Ending.FIN
    return Ending.UNKNOWN if event.new_state == CLOSE else None
