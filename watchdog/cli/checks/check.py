"""What a check of `doctor` says, and what it gets to know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Mapping, Optional

from watchdog.config import Config, RuntimeConfig


class Level(str, Enum):
    """UNKNOWN: it could not be looked at, which is neither good nor bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """One finding: what was seen, and what to do about it ("" for nothing)."""

    level: Level
    seen: str
    advice: str = ""


@dataclass(frozen=True)
class Patient:
    """What is examined.

    `state` is the running agent's state file, None where no agent runs.
    `runtime` is the one in question, and `seen` what a look at it gave, as
    plain values; None when it could not be looked at.
    """

    config: Config
    runtime: RuntimeConfig
    state: Optional[Mapping[str, Any]] = None
    seen: Optional[Mapping[str, Any]] = None


def ok(seen: str, advice: str = "") -> Check:
    """All is well."""
    return Check(Level.OK, seen, advice)


def warn(seen: str, advice: str = "") -> Check:
    """The agent can work, but not as well as it could."""
    return Check(Level.WARN, seen, advice)


def fail(seen: str, advice: str) -> Check:
    """The agent cannot do its work."""
    return Check(Level.FAIL, seen, advice)


def unknown(seen: str, advice: str = "") -> Check:
    """It could not be looked at."""
    return Check(Level.UNKNOWN, seen, advice)
