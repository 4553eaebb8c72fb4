"""What this kernel is too old for."""

from __future__ import annotations

import os
import re
from typing import Optional, Tuple

RING_BUFFER = (5, 8)
TESTED_FROM = (5, 10)


def running() -> Tuple[int, int]:
    return parse(os.uname().release)


def parse(release: str) -> Tuple[int, int]:
    """(major, minor) of a release such as 6.1.0-56-amd64; (0, 0) for what is none."""
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def shortcoming(version: Tuple[int, int]) -> Optional[str]:
    """Why a kernel of this version is for diagnosis only; None when it is fit."""
    name = ".".join(map(str, version))
    if version < RING_BUFFER:
        return f"kernel {name} has no BPF ring buffer (5.8 is the first): diagnosis only"
    if version < TESTED_FROM:
        return f"kernel {name} is older than 5.10, the oldest that we test: diagnosis only"
    return None
