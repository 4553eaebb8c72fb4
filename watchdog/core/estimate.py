"""How far a pull is, and when it will be there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional, Sequence

from watchdog.core.download import Download


@dataclass(frozen=True)
class Estimate:
    """How far a pull is.  `rate` is in bytes a second.

    `seconds_left` None: nothing moves, or its size is not known.  `slowest`: the
    download file that moves least.
    """

    done_bytes: int
    total_bytes: Optional[int]
    rate: float
    seconds_left: Optional[float]
    slowest: str = ""


def estimate(downloads: Iterable[Download], finished: Iterable[int], layer_bytes: Sequence[int]) -> Estimate:
    """How far one pull is whose layers have these sizes; () where they are not known.

    `downloads` are its files, `finished` the sizes of layers that came.  Nobody
    tells which layers were there before, so the end may come earlier than this.
    """
    found = list(downloads)
    done = sum(one.blob.size_bytes for one in found)
    done += sum(size for size in finished if size in layer_bytes)
    rate = sum(one.rate for one in found)
    total = sum(layer_bytes) or None
    left = None if total is None or rate <= 0 else max(0, total - done) / rate
    slowest = min(found, key=lambda one: (one.rate, one.name)).name if found else ""
    return Estimate(done, total, rate, left, slowest)
