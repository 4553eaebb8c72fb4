"""A virtual dockerd that pushes: its clients, its requests, what its log tells; a second a tick.

The numbers are those of a real dockerd 20.10: a commit of 613 bytes, a manifest of
888, each on a connection of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import List

from watchdog.core.causes.finding import Finding
from watchdog.core.causes.push import failing_pushes
from watchdog.core.causes.registry import registry_errors
from watchdog.core.demand import Arrivals
from watchdog.core.observation import (
    Api,
    Client,
    ClientScan,
    ConnectionSample,
    Frame,
    LogLine,
    Observation,
    ProcessKey,
    RuntimeSeen,
    Sight,
    TransferScan,
)
from watchdog.core.policy import SECOND_NS, Thresholds
from watchdog.core.transfer import Transfers
from watchdog.core.world import World

MB = 1_000_000
DAEMON = ProcessKey(5000, 777)
REGISTRY = "127.0.0.1:5000"
IMAGE = "localhost:5000/big:1"
COMMIT, MANIFEST = 613, 888
LIMITS = Thresholds()


@dataclass
class Connection:
    """One request; `rate`: bytes a second that it still sends."""

    sample: ConnectionSample
    rate: int = 0

    def advance(self, seconds: float) -> None:
        acked = (self.sample.acked_bytes or 0) + int(self.rate * seconds)
        self.sample = replace(self.sample, acked_bytes=acked)


@dataclass
class Pushing:
    """One dockerd and who pushes with it."""

    now_ns: int = 1000 * SECOND_NS
    world: World = field(default_factory=World)
    transfers: Transfers = field(default_factory=lambda: Transfers(SECOND_NS))
    arrivals: Arrivals = field(default_factory=Arrivals)
    clients: List[Client] = field(default_factory=list)
    requests: List[Connection] = field(default_factory=list)
    findings: List[Finding] = field(default_factory=list)
    _number: int = 100
    _news: List[Observation] = field(default_factory=list)

    def __post_init__(self) -> None:
        seen = RuntimeSeen("docker", "docker", DAEMON, None, Api.ANSWERS, Sight.FULL)
        self.world.apply(Frame(self.now_ns, (seen,)))

    # --- what happens --------------------------------------------------------------------

    def client(self, image: str = IMAGE, verb: str = "push") -> Client:
        self._number += 1
        self.clients.append(Client(ProcessKey(self._number, 1), verb, image, connected=True))
        return self.clients[-1]

    def leave(self, client: Client) -> None:
        self.clients.remove(client)

    def request(self, sent: int = COMMIT, rate: int = 0, remote: str = REGISTRY, **fields: int) -> Connection:
        """The runtime asks a registry for something."""
        self._number += 1
        sample = ConnectionSample(
            inode=self._number,
            local=f"127.0.0.1:{40000 + self._number}",
            remote=remote,
            state=1,
            receive_queue_bytes=0,
            send_queue_bytes=0,
            cookie=self._number * 7,
            received_bytes=0,
            acked_bytes=sent,
        )
        self.requests.append(Connection(replace(sample, **fields), rate))
        return self.requests[-1]

    def answered(self, request: Connection) -> None:
        self.requests.remove(request)

    def upload(self, size: int = 20 * MB, count: int = 1) -> None:
        """So many layers are sent at once, and taken."""
        sending = [self.request(sent=size) for _ in range(count)]
        self.tick()
        for one in sending:
            self.answered(one)

    def says(self, words: str, source: str = "docker") -> None:
        self._news.append(LogLine(source, f'level=error msg="{words}"' if source == "docker" else words))

    # --- time ----------------------------------------------------------------------------

    def tick(self, count: int = 1, seconds: float = 1.0) -> None:
        """Let that many looks pass, so many seconds apart."""
        for _ in range(count):
            self.now_ns += int(seconds * SECOND_NS)
            for one in self.requests:
                one.advance(seconds)
            self._look()

    def _look(self) -> None:
        scan = TransferScan("docker", DAEMON, tuple(one.sample for one in self.requests))
        news, self._news = self._news, []
        seen = (ClientScan("docker", tuple(self.clients)), *news)
        self.world.apply(Frame(self.now_ns, seen))
        self.transfers.update(scan, self.now_ns)
        demand = self.arrivals.demand(self.world, "docker")
        everything = ("docker", self.world, self.transfers, demand, LIMITS)
        self.findings = [*failing_pushes(*everything), *registry_errors(*everything)]

    @property
    def confirmed(self) -> List[Finding]:
        return [one for one in self.findings if one.confirmed]

    @property
    def causes(self) -> List[str]:
        return [one.cause.value for one in self.confirmed]
