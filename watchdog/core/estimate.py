"""How far a pull is, and when it will be there: the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Estimate:
    """How far a pull is.

    `seconds_left` None: nothing moves, or its size is not known.  `slowest`: the
    download file that moves least.
    """

    done_bytes: int
    total_bytes: Optional[int]
    bytes_per_second: int
    seconds_left: Optional[int]
    slowest: str = ""
