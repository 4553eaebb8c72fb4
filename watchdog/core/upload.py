"""What a runtime sends: every connection's bytes, and for how long nothing has moved on it.

dockerd pushes with a connection for each request: one that carries a layer, one
that asks the registry to keep it (the commit), one for the manifest.  A request
that is sent and not answered is such a connection on which nothing moves.

Law: a byte in either direction starts the count anew, and so does a gap of more
than three ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import AbstractSet, Dict, List, Optional, Tuple

from watchdog.core.extraction import GAP_TICKS
from watchdog.core.observation import ConnectionSample, TransferScan
from watchdog.core.target import port_of

UPLOAD_BYTES = 1_000_000  # what has sent so much carried a layer
ENDED_KEPT = 128


@dataclass(frozen=True)
class Request:
    """One connection, from one look to the next.

    `began_ns`: when it was first seen; None where it may have been there for
    longer.  `samples`: how many looks in a row found nothing moved, since `since_ns`.
    """

    sample: ConnectionSample
    began_ns: Optional[int]
    at_ns: int
    since_ns: int
    samples: int = 0

    @property
    def sent_bytes(self) -> int:
        """What the peer has acknowledged."""
        return self.sample.acked_bytes or 0


@dataclass(frozen=True)
class Upload:
    """A connection that has carried a layer and is gone.  `at_once`: as many did at that time."""

    remote: str
    sent_bytes: int
    ended_ns: int
    at_once: int


class Uploads:
    """The requests of every runtime, by the scans of the transfer sensor."""

    def __init__(self) -> None:
        self._requests: Dict[str, Dict[int, Request]] = {}
        self._ended: Dict[str, Tuple[Upload, ...]] = {}
        self._scanned_ns: Dict[str, int] = {}
        self._quiet: Dict[str, Dict[int, int]] = {}  # by runtime and port: looks without any change

    def update(self, scan: TransferScan, now_ns: int, tick_ns: int) -> None:
        """Take in one scan of one runtime."""
        name = scan.runtime
        before = self._requests.get(name, {})
        follows = now_ns - self._scanned_ns.get(name, -GAP_TICKS * tick_ns - 1) <= GAP_TICKS * tick_ns
        now = {one.inode: _gone_on(before.get(one.inode), one, now_ns, follows) for one in scan.connections}
        if scan.complete:
            ended = [one for inode, one in before.items() if inode not in now]
            self._ended[name] = (*self._ended.get(name, ()), *_uploads(ended, before, now_ns))[-ENDED_KEPT:]
        self._count_quiet(name, before, now, follows)
        self._requests[name], self._scanned_ns[name] = now, now_ns

    def to(self, runtime: str, ports: AbstractSet[int]) -> List[Request]:
        """The requests to these ports, as the last scan showed them, the oldest first."""
        found = [one for one in self._requests.get(runtime, {}).values() if _port(one) in ports]
        return sorted(found, key=lambda one: (one.began_ns or 0, one.sample.inode))

    def ended(self, runtime: str, ports: AbstractSet[int], since_ns: int) -> List[Upload]:
        """The uploads to these ports that have ended since."""
        found = self._ended.get(runtime, ())
        return [one for one in found if port_of(one.remote) in ports and one.ended_ns >= since_ns]

    def quiet_samples(self, runtime: str, ports: AbstractSet[int]) -> int:
        """In how many looks in a row no connection to these ports moved, began or ended."""
        counts = self._quiet.get(runtime, {})
        return min((counts[port] for port in ports if port in counts), default=0)

    def _count_quiet(
        self, runtime: str, before: Dict[int, Request], now: Dict[int, Request], follows: bool
    ) -> None:
        counts = self._quiet.get(runtime, {}) if follows else {}
        changed = {_port(one) for inode, one in before.items() if inode not in now}
        changed |= {_port(one) for one in now.values() if one.samples == 0}
        self._quiet[runtime] = {
            port: 0 if port in changed else counts.get(port, 0) + 1 for port in map(_port, now.values())
        }


def _gone_on(last: Optional[Request], sample: ConnectionSample, now_ns: int, follows: bool) -> Request:
    if last is None:
        return Request(sample, now_ns if follows else None, now_ns, now_ns)
    if follows and _counters(last.sample) == _counters(sample):
        return replace(last, sample=sample, at_ns=now_ns, samples=last.samples + 1)
    return Request(sample, last.began_ns, now_ns, now_ns)


def _counters(one: ConnectionSample) -> Tuple[object, ...]:
    return one.received_bytes, one.acked_bytes, one.receive_queue_bytes, one.send_queue_bytes, one.state


def _uploads(ended: List[Request], before: Dict[int, Request], now_ns: int) -> List[Upload]:
    sending: Dict[str, int] = {}
    for one in before.values():
        if one.sent_bytes >= UPLOAD_BYTES:
            sending[one.sample.remote] = sending.get(one.sample.remote, 0) + 1
    return [
        Upload(one.sample.remote, one.sent_bytes, now_ns, sending[one.sample.remote])
        for one in ended
        if one.sent_bytes >= UPLOAD_BYTES
    ]


def _port(one: Request) -> int:
    return port_of(one.sample.remote)
