"""A finding: what holds up work, why, and what that rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional, Tuple

from watchdog.core.estimate import Estimate
from watchdog.core.evidence import Evidence, suffices
from watchdog.core.extraction import Pipeline
from watchdog.core.observation import ProcessSample
from watchdog.core.target import Target


class Cause(str, Enum):
    """What is wrong; the values are metric labels."""

    DECOMPRESSOR_STOPPED = "decompressor_stopped"
    DECOMPRESSOR_SPINNING = "decompressor_spinning"
    DECOMPRESSOR_BLOCKED = "decompressor_blocked"
    DECOMPRESSOR_HELD = "decompressor_held"
    DECOMPRESSOR_ORPHANED = "decompressor_orphaned"
    UNTAR_STOPPED = "untar_stopped"
    UNTAR_BLOCKED = "untar_blocked"
    UNTAR_HELD = "untar_held"
    STORAGE_STALLED = "storage_stalled"
    DAEMON_STOPPED = "daemon_stopped"
    DAEMON_HELD = "daemon_held"
    DAEMON_UNRESPONSIVE = "daemon_unresponsive"
    DOWNLOAD_STALLED = "download_stalled"
    HEADER_WAIT = "header_wait"
    LAYER_LOCKED = "layer_locked"
    QUEUE_BLOCKED = "queue_blocked"
    RESET_LOOP = "reset_loop"
    TIME_LIMIT = "time_limit"
    SIZE_LIMIT = "size_limit"
    RANGE_UNSUPPORTED = "range_unsupported"
    MIRROR_FAILING = "mirror_failing"
    P2P_PIECE_TIMEOUT = "p2p_piece_timeout"
    P2P_NO_SCHEDULER = "p2p_no_scheduler"
    P2P_SUPERNODE_UNREACHABLE = "p2p_supernode_unreachable"
    P2P_RATE_LIMITED = "p2p_rate_limited"
    REGISTRY_ERROR = "registry_error"
    REGISTRY_OVERLOADED = "registry_overloaded"
    PUSH_COMMIT_STALLED = "push_commit_stalled"
    PUSH_RETRY_LOOP = "push_retry_loop"
    RATE_LIMITED = "rate_limited"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    DNS = "dns"
    TLS = "tls"
    DISK_FULL = "disk_full"
    INTEGRITY = "integrity"


HUNG_DECOMPRESSOR = (Cause.DECOMPRESSOR_SPINNING, Cause.DECOMPRESSOR_BLOCKED)
# Only people mend these, and time: nothing is looked at oftener for them.
FOR_PEOPLE = frozenset(
    {
        Cause.RATE_LIMITED,
        Cause.AUTH,
        Cause.NOT_FOUND,
        Cause.DNS,
        Cause.TLS,
        Cause.DISK_FULL,
        Cause.INTEGRITY,
    }
)
STANDSTILLS = (Cause.DAEMON_STOPPED, Cause.DAEMON_HELD)  # of the runtime: they explain all that is behind it


@dataclass(frozen=True)
class Finding:
    """What is hung or fails, as this tick's samples show it.

    `culprit`: the process that hangs; the runtime itself where it is no process.
    `samples`: how many in a row agreed; `threshold`: how many confirm it.
    `ripe` is False while a spinning process has not yet spent enough CPU on
    nothing to tell it from one that is starved.
    `hands_off` says why nobody should touch it, empty when there is no reason.

    What is no process has a `target`, and a `subject` that names it for as long
    as it is the same.  `images`: those that it holds up, where the family knows
    better than the list of clients.  `advice`: what to tell whom, sentences.
    `estimate`: how far its pull is.
    """

    runtime: str
    cause: Cause
    culprit: ProcessSample
    evidence: Tuple[Evidence, ...]
    samples: int
    since_ns: int
    threshold: int
    pipeline: Optional[Pipeline] = None
    hands_off: str = ""
    ripe: bool = True
    subject: str = ""
    target: Optional[Target] = None
    images: Tuple[str, ...] = ()
    advice: Tuple[str, ...] = ()
    estimate: Optional[Estimate] = None

    @property
    def confirmed(self) -> bool:
        """Law 3: enough samples, and two independent kinds of evidence."""
        return self.ripe and self.samples >= self.threshold and suffices(self.evidence)

    @property
    def name(self) -> str:
        """What it is of, in its runtime and boot; the same fault has the same name."""
        return self.subject or process_name(self.culprit)


def process_name(process: ProcessSample) -> str:
    """The name of a finding that is about a process."""
    return f"{process.key.pid} {process.key.start_ticks}"
