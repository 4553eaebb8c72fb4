"""A virtual dockerd that downloads layers: its files, its connections, what its kernel and log tell.

Plain state, a second a tick.  The proportions are those that were measured on a
real dockerd 20.10: 420 bytes of headers, 0.7 % more with TLS, a back-off of five
seconds times the attempt, about 124 KB in a connection that a refused resume leaked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Tuple

from watchdog.core.demand import Demand, Waiting
from watchdog.core.observation import (
    BlobSample,
    Client,
    ConnectionSample,
    LogLine,
    ProcessKey,
    TcpEvent,
    TransferScan,
)
from watchdog.core.policy import SECOND_NS
from watchdog.core.transfer import Transfers

MB = 1_000_000
HEADERS = 420
HANDSHAKE = 2_300
LEAKED = 124_584
REGISTRY = "127.0.0.1:5000"
IMAGE = "localhost:5000/big:1"
DAEMON = ProcessKey(5000, 777)
ERRORS = {
    "fin": "unexpected EOF",
    "reset": "read tcp {local}->{remote}: read: connection reset by peer",
    "ours": "read tcp {local}->{remote}: read: software caused connection abort",
    "timeout": "read tcp {local}->{remote}: read: connection timed out",
    "206": "expected HTTP 206 from byte range request",
    "502": "received unexpected HTTP status: 502 Bad Gateway",
}


@dataclass
class Wire:
    """A connection; fields may be changed at will."""

    sample: ConnectionSample
    silent_since_ns: int
    tls: bool = False

    def receive(self, count: int, now_ns: int) -> None:
        more = count * 1007 // 1000 if self.tls else count
        received = (self.sample.received_bytes or 0) + more
        self.sample = replace(self.sample, received_bytes=received)
        self.silent_since_ns = now_ns

    def seen(self, now_ns: int) -> ConnectionSample:
        return replace(self.sample, silent_ns=now_ns - self.silent_since_ns)


@dataclass
class Layer:
    """A layer's file and the connection that feeds it; `rate` in bytes a second, 0 is silence."""

    name: str
    total: int
    rate: int
    size: int = 0
    wire: Optional[Wire] = None
    failures: int = 0
    complete: bool = False

    def blob(self) -> BlobSample:
        return BlobSample(self.name, self.size, 0 if self.complete else self.size)


@dataclass
class Network:
    """One dockerd.  `tells`: its log is read; `sees`: kernel events come."""

    tells: bool = True
    sees: bool = False
    tls: bool = False
    attempts: int = 5
    now_ns: int = 1000 * SECOND_NS
    layers: List[Layer] = field(default_factory=list)
    others: List[Wire] = field(default_factory=list)
    transfers: Transfers = field(default_factory=lambda: Transfers(SECOND_NS))
    clients: List[Waiting] = field(default_factory=list)
    ports: Tuple[int, ...] = (5000,)
    _inode: int = 100
    _news: List[object] = field(default_factory=list)
    _later: Dict[str, int] = field(default_factory=dict)

    # --- time -------------------------------------------------------------------------

    def tick(self, count: int = 1, seconds: float = 1.0) -> None:
        """Let that many looks pass, so many seconds apart."""
        for _ in range(count):
            self.now_ns += int(seconds * SECOND_NS)
            for layer in self.layers:
                self._advance(layer, seconds)
            self.look()

    def look(self) -> None:
        """Hand over what is seen now."""
        news, self._news = self._news, []
        for one in news:
            if isinstance(one, TcpEvent) and self.sees:
                self.transfers.note_event(one)
            elif isinstance(one, LogLine) and self.tells:
                self.transfers.note_line(one, self.now_ns)
        wires = [*(one.wire for one in self.layers if one.wire), *self.others]
        scan = TransferScan(
            runtime="docker",
            daemon=DAEMON,
            connections=tuple(one.seen(self.now_ns) for one in wires),
            blobs=tuple(one.blob() for one in self.layers),
        )
        self.transfers.update(scan, self.now_ns)

    def _advance(self, layer: Layer, seconds: float) -> None:
        if self._later.get(layer.name, self.now_ns + 1) <= self.now_ns:
            del self._later[layer.name]
            self.request(layer)
            return
        if layer.wire is None or layer.complete or not layer.rate:
            return
        count = min(int(layer.rate * seconds), layer.total - layer.size)
        first = HEADERS if (layer.wire.sample.received_bytes or 0) <= HANDSHAKE else 0
        layer.wire.receive(count + first, self.now_ns)
        layer.size += count
        if layer.size == layer.total:
            layer.complete, layer.wire = True, None

    # --- what happens --------------------------------------------------------------------

    def layer(self, total: int = 200 * MB, rate: int = 5 * MB) -> Layer:
        """dockerd begins to download a layer."""
        layer = Layer(f"GetImageBlob{len(self.layers)}", total, rate)
        self.layers.append(layer)
        self.request(layer)
        return layer

    def request(self, layer: Layer) -> None:
        """The next attempt: a connection of its own."""
        layer.wire = self._wire()
        if self.tls:
            layer.wire.receive(HANDSHAKE, self.now_ns)

    def other(self, received: int = 0, remote: str = REGISTRY, unread: int = 0) -> Wire:
        """Any other connection of dockerd."""
        wire = self._wire(remote)
        wire.sample = replace(wire.sample, received_bytes=received, receive_queue_bytes=unread)
        self.others.append(wire)
        return wire

    def cut(self, layer: Layer, how: str = "fin") -> None:
        """The attempt ends, dockerd says so, and tries again after its back-off."""
        assert layer.wire is not None
        sample = layer.wire.sample
        self._news += self._kernel_word(sample, how)
        layer.wire = None
        self.fail(layer, ERRORS[how].format(local=sample.local, remote=sample.remote))

    def refuse_range(self, layer: Layer) -> None:
        """The registry answers 200: dockerd throws the layer away and leaks the connection."""
        assert layer.wire is not None
        leaked, layer.wire = layer.wire, None
        leaked.sample = replace(
            leaked.sample, received_bytes=LEAKED + 4096, receive_queue_bytes=LEAKED, state=1
        )
        leaked.silent_since_ns = self.now_ns
        self.others.append(leaked)
        layer.size = 0
        self.fail(layer, ERRORS["206"])

    def fail(self, layer: Layer, error: str) -> None:
        """dockerd's word of a failed attempt, and its back-off."""
        layer.failures += 1
        text = f'level=info msg="Download failed, retrying ({layer.failures}/{self.attempts}): {error}"'
        self._news.append(LogLine("docker", text))
        self._later[layer.name] = self.now_ns + layer.failures * 5 * SECOND_NS

    def client(
        self, image: str = "localhost:5000/big:1", layers: Optional[Tuple[str, ...]] = None
    ) -> Waiting:
        """Somebody pulls, from now on."""
        self._inode += 1
        one = Client(ProcessKey(self._inode, 1), "pull", image, connected=True)
        known = None if layers is None else frozenset((digest, 1) for digest in layers)
        self.clients.append(Waiting(one, self.now_ns, known))
        return self.clients[-1]

    @property
    def demand(self) -> Demand:
        return Demand(tuple(self.clients), frozenset(self.ports), frozenset(self.ports))

    def _wire(self, remote: str = REGISTRY) -> Wire:
        self._inode += 1
        sample = ConnectionSample(
            inode=self._inode,
            local=f"127.0.0.1:{40000 + self._inode}",
            remote=remote,
            state=1,
            receive_queue_bytes=0,
            send_queue_bytes=0,
            cookie=self._inode * 7,
            received_bytes=0,
            acked_bytes=334,
            unanswered_probes=0,
        )
        return Wire(sample, self.now_ns, self.tls)

    def _kernel_word(self, sample: ConnectionSample, how: str) -> List[TcpEvent]:
        port = int(sample.local.rpartition(":")[2])
        told = {"fin": [("state", 1, 8)], "reset": [("reset_received", 0, 0), ("state", 1, 7)]}
        return [
            TcpEvent(self.now_ns, what, DAEMON.pid, 0, port, old_state=old, new_state=new)
            for what, old, new in told.get(how, [("state", 1, 7)])
        ]
