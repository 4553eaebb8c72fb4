"""A finding: one process that holds up work, why, and what that rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional, Tuple

from watchdog.core.evidence import Evidence, suffices
from watchdog.core.extraction import Pipeline
from watchdog.core.observation import ProcessSample


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


HUNG_DECOMPRESSOR = (Cause.DECOMPRESSOR_SPINNING, Cause.DECOMPRESSOR_BLOCKED)


@dataclass(frozen=True)
class Finding:
    """A hung process as this tick's samples show it.

    `samples`: how many in a row agreed; `threshold`: how many confirm it.
    `ripe` is False while a spinning process has not yet spent enough CPU on
    nothing to tell it from one that is starved.
    `hands_off` says why nobody should touch it, empty when there is no reason.
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

    @property
    def confirmed(self) -> bool:
        """Law 3: enough samples, and two independent kinds of evidence."""
        return self.ripe and self.samples >= self.threshold and suffices(self.evidence)
