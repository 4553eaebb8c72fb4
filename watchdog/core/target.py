"""What a fault of the network is about: a layer's file, its connection, a peer.

Law: what a remedy may do to it follows from this alone, so that the core's
decision and the remedy's own check are one rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from watchdog.core.limits import Limit
from watchdog.core.observation import BlobSample, ConnectionSample, ProcessKey

SPARE_ATTEMPTS = 2  # never the last attempt, and one for a failure of the network's own
ALLOWED_UNKNOWN = 1  # resets of a layer whose number of attempts nobody has told
FRESH_BYTES = 64 * 1024  # a handshake, a header, perhaps a manifest: no layer is told by so little


@dataclass(frozen=True)
class Target:
    """Fields are empty where they have no meaning.

    `connection`: the one to reset, where it is certain.  `client`: who waits.
    `attempts` is m of dockerd's "retrying (n/m)", None where it was not told;
    `failures` are the attempts that have failed, resets of ours among them;
    `resets` are ours alone.  `registry_ports`: those that the images name for a
    registry on this machine.  `older`: inodes of connections that were there
    before the layer was asked for, so are none of its requests.  `holders`:
    subjects of the findings that this one waits for.  `endpoint`: the mirror,
    registry or P2P client that it is about; `reason` tells the kinds of a cause apart.
    """

    blob: Optional[BlobSample] = None
    connection: Optional[ConnectionSample] = None
    client: Optional[ProcessKey] = None
    attempts: Optional[int] = None
    failures: int = 0
    resets: int = 0
    registry_ports: Tuple[int, ...] = ()
    older: Tuple[int, ...] = ()
    holders: Tuple[str, ...] = ()
    limit: Optional[Limit] = None
    endpoint: str = ""
    reason: str = ""

    @property
    def waits_for_header(self) -> bool:
        """Nothing of a layer has come on its connection."""
        return self.connection is not None and is_fresh(self.connection)

    @property
    def resets_left(self) -> int:
        """How many resets dockerd's attempts allow: m - failures - 2; one where m is not known.

        A request without an answer is reset once only.
        """
        if self.waits_for_header and self.resets:
            return 0
        if self.attempts is None:
            return max(0, ALLOWED_UNKNOWN - max(self.resets, self.failures))
        left = max(0, self.attempts - self.failures - SPARE_ATTEMPTS)
        return min(1, left) if self.waits_for_header else left


def why_no_reset(target: Target) -> str:
    """Why its connection must not be reset, as far as its incident tells; "" when it may."""
    if target.connection is None or target.blob is None:
        return "it is not certain which connection is the layer's"
    if target.waits_for_header:
        remote = target.connection.remote
        if is_loopback(remote) and port_of(remote) not in target.registry_ports:
            return f"{remote} is a proxy on this machine, which may fetch the whole layer first"
        if target.resets:
            return "a request without an answer was reset once already"
    if target.resets_left > 0:
        return ""
    if target.attempts is None:
        return "how many attempts the runtime makes is not known, and one has failed already"
    return f"{target.failures} of {target.attempts} attempts have failed: another could end the pull"


def is_fresh(one: ConnectionSample) -> bool:
    """Whether nothing has come on it that could be told for a part of a layer."""
    return (one.received_bytes or 0) < FRESH_BYTES


def is_loopback(end: str) -> bool:
    """Whether a connection's end is on this machine."""
    return end.startswith(("127.", "[::1]", "[::ffff:127."))


def port_of(end: str) -> int:
    """The port of a connection's end; 0 where it has none."""
    port = end.rpartition(":")[2]
    return int(port) if port.isdecimal() else 0
