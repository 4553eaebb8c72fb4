"""A runtime with one mirror, for the tests of what fails there and what is done about it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import List, Optional

from tests.core.network import DAEMON, SECOND_NS, Network, Wire
from watchdog.core.causes.finding import Finding
from watchdog.core.causes.mirror import failing_mirrors
from watchdog.core.observation import (
    Api,
    Frame,
    LedgerEntry,
    LogLine,
    MachineSeen,
    MirrorSeen,
    RuntimeSeen,
    Sight,
    TcpEvent,
)
from watchdog.core.policy import Thresholds
from watchdog.core.world import World

LIMITS = Thresholds()
URL = "http://mirror.lan:5001/"
PEER = "10.0.0.7:5001"
ORIGIN = "34.1.2.3:443"
WALL_NS = 1_700_000_000 * SECOND_NS
REFUSED = f'Get "{URL}v2/": dial tcp {PEER}: connect: connection refused'
BAD = "received unexpected HTTP status: 502 Bad Gateway"
RETRY = "Download failed, retrying ({}/5): {}"
NEXT = "Attempting next endpoint for pull after error: {}"


@dataclass
class Node:
    """A runtime with one mirror, its network and what its log and kernel tell."""

    mirrors: tuple[str, ...] = (URL,)
    network: Network = field(default_factory=lambda: Network(attempts=5))
    world: World = field(default_factory=World)
    _socket: int = 0

    def __post_init__(self) -> None:
        seen = RuntimeSeen("docker", "docker", DAEMON, None, Api.ANSWERS, Sight.FULL, mirrors=self.mirrors)
        self.see(MachineSeen("boot", WALL_NS, self.network.now_ns), seen, MirrorSeen("docker", URL, (PEER,)))

    def see(self, *observations: object) -> None:
        self.world.apply(Frame(self.network.now_ns, observations))  # type: ignore[arg-type]

    def pull(self, image: str = "alpine:3") -> None:
        self.network.client(image)

    def asks(self, received: int = 0, remote: str = PEER) -> Wire:
        """dockerd sends a request and waits for its answer."""
        return self.network.other(received, remote)

    def says(self, text: str, dials: str = PEER, refused: bool = True, before: str = "") -> None:
        """A line of its log, a second after the last, with the dial that it is about."""
        self.network.tick()
        self.see()
        if before:
            self.dial(before, False, -1000)
        if dials:
            self.dial(dials, refused, -1)
        stamp = datetime.fromtimestamp(self.world.wall_ns() / 1e9, timezone.utc).isoformat()
        self.see(LogLine("docker", f'time="{stamp}" level=info msg={json.dumps(text)}'))

    def dial(self, remote: str, refused: bool, ms: int) -> None:
        host, _, port = remote.rpartition(":")
        at_ns = self.network.now_ns + ms * 1_000_000
        new = 7 if refused else 1
        self.see(TcpEvent(at_ns, "state", DAEMON.pid, 1, 0, int(port), host, old_state=2, new_state=new))

    def found(self) -> List[Finding]:
        self.see()
        demand = self.network.demand
        return failing_mirrors("docker", self.world, self.network.transfers, demand, LIMITS)

    @property
    def confirmed(self) -> Optional[str]:
        """The reason of the only confirmed finding; None without one."""
        reasons = [one.target.reason for one in self.found() if one.confirmed and one.target]
        assert len(reasons) <= 1
        return reasons[0] if reasons else None


def entry(action: str, phase: str, **changes: object) -> LedgerEntry:
    """What the ledger says of a mirror that was bypassed."""
    memory = json.dumps({"endpoint": URL, "image": "alpine:3", "change": {}})
    one = LedgerEntry(
        action, phase, WALL_NS, "boot", "pw-1", "bypass_mirror", "mirror_failing", "docker", None, None
    )
    return replace(one, expires_wall_ns=2 * WALL_NS, detail_json=memory, **changes)  # type: ignore[arg-type]
