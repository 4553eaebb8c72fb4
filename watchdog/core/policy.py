"""What the operator allows: the part of the configuration that decisions rest on.

Law: a decision depends on observations and on this, so a recording carries it
(`PolicySeen`) and replays to the same decisions.  `to_json` is canonical: equal
policies give equal text.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any, Dict, FrozenSet, Mapping

from watchdog.errors import RecordingError

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS


class Mode(str, Enum):
    """OBSERVE decides and tells what it would do; ENFORCE does it."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class Remedy(str, Enum):
    """Everything that can be done to the machine; the values are metric labels."""

    RESUME = "resume"
    KILL_DECOMPRESSOR = "kill_decompressor"
    SUBSTITUTE_DECOMPRESSOR = "substitute_decompressor"
    REPULL = "repull"
    DISABLE_PIGZ = "disable_pigz"
    RESTART_RUNTIME = "restart_runtime"
    RESET_CONNECTION = "reset_connection"
    ROUTE_AROUND = "route_around"
    DUMP_GOROUTINES = "dump_goroutines"
    BYPASS_MIRROR = "bypass_mirror"
    FEWER_PARALLEL = "fewer_parallel"
    MORE_ATTEMPTS = "more_attempts"
    RAISE_P2P_TIMEOUT = "raise_p2p_timeout"
    RESTART_P2P = "restart_p2p"


@dataclass(frozen=True)
class Thresholds:
    """How many samples in a row must agree before an incident is confirmed.

    `header_wait` doubles with each reset of the same layer.  `waiting`: of a pull
    that has nothing of its own under way.  `cuts`: attempts of one layer that were
    cut, `alike`: that ended at the same limit.  `push_commit`: without an answer to a
    push, and more after a large layer.  `refusals`: answers of a registry.
    `unresponsive`: questions to the runtime, 5 to 60 s apart, without an answer.
    """

    stopped: int = 4
    spinning: int = 6
    blocked: int = 8
    storage: int = 10
    orphaned: int = 600
    daemon_stopped: int = 5
    stalled: int = 30
    header_wait: int = 300
    waiting: int = 10
    cuts: int = 3
    alike: int = 2
    push_commit: int = 60
    refusals: int = 2
    unresponsive: int = 4


@dataclass(frozen=True)
class Budget:
    """At most `count` uses in any `window_ns`, at least `cooldown_ns` apart.

    Counted for each pair of remedy and cause, over restarts and reboots.
    """

    count: int
    window_ns: int
    cooldown_ns: int = 0


DEFAULT_ON = frozenset(
    {
        Remedy.RESUME,
        Remedy.KILL_DECOMPRESSOR,
        Remedy.SUBSTITUTE_DECOMPRESSOR,
        Remedy.REPULL,
        Remedy.RESET_CONNECTION,
        Remedy.DUMP_GOROUTINES,
    }
)

DEFAULT_BUDGETS: Mapping[Remedy, Budget] = {
    Remedy.RESUME: Budget(6, DAY_NS),
    Remedy.KILL_DECOMPRESSOR: Budget(3, DAY_NS, cooldown_ns=5 * SECOND_NS),
    Remedy.SUBSTITUTE_DECOMPRESSOR: Budget(2, DAY_NS, cooldown_ns=MINUTE_NS),
    Remedy.REPULL: Budget(6, DAY_NS),
    Remedy.DISABLE_PIGZ: Budget(1, 7 * DAY_NS),
    Remedy.RESTART_RUNTIME: Budget(1, 6 * HOUR_NS, cooldown_ns=HOUR_NS),
    Remedy.RESET_CONNECTION: Budget(12, HOUR_NS),
    Remedy.ROUTE_AROUND: Budget(2, DAY_NS, cooldown_ns=HOUR_NS),
    Remedy.DUMP_GOROUTINES: Budget(4, DAY_NS),
    Remedy.BYPASS_MIRROR: Budget(4, DAY_NS, cooldown_ns=MINUTE_NS),
    Remedy.FEWER_PARALLEL: Budget(2, DAY_NS),
    Remedy.MORE_ATTEMPTS: Budget(1, 7 * DAY_NS),
    Remedy.RAISE_P2P_TIMEOUT: Budget(2, DAY_NS),
    Remedy.RESTART_P2P: Budget(2, DAY_NS, cooldown_ns=HOUR_NS),
}

DEFAULT_EXPIRIES_NS: Mapping[Remedy, int] = {
    Remedy.SUBSTITUTE_DECOMPRESSOR: DAY_NS,
    Remedy.DISABLE_PIGZ: 7 * DAY_NS,
    Remedy.ROUTE_AROUND: DAY_NS,
    Remedy.BYPASS_MIRROR: DAY_NS,
    Remedy.FEWER_PARALLEL: 6 * HOUR_NS,
    Remedy.MORE_ATTEMPTS: 7 * DAY_NS,
    Remedy.RAISE_P2P_TIMEOUT: 7 * DAY_NS,
}


@dataclass(frozen=True)
class Policy:
    """What may be done, after how much evidence, how often and for how long.

    `expiries_ns`: when a lasting change is to be undone.  `tick_ns` is the time
    between two samples while something is going on, `idle_tick_ns` otherwise.
    """

    mode: Mode = Mode.OBSERVE
    remedies_on: FrozenSet[Remedy] = DEFAULT_ON
    thresholds: Thresholds = field(default_factory=Thresholds)
    budgets: Mapping[Remedy, Budget] = field(default_factory=lambda: dict(DEFAULT_BUDGETS))
    expiries_ns: Mapping[Remedy, int] = field(default_factory=lambda: dict(DEFAULT_EXPIRIES_NS))
    tick_ns: int = SECOND_NS
    idle_tick_ns: int = 10 * SECOND_NS

    def to_json(self) -> str:
        """Canonical JSON: one line, keys sorted."""
        record = {**asdict(self), "remedies_on": sorted(self.remedies_on)}
        return json.dumps(record, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Policy:
        """The policy that `to_json` wrote; RecordingError when it is another text."""
        try:
            return _policy_of(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordingError(f"a recorded policy cannot be read: {error!r} in {text[:80]!r}") from None


def _policy_of(record: Dict[str, Any]) -> Policy:
    if set(record) != {each.name for each in fields(Policy)}:
        raise ValueError(f"its keys are {sorted(record)}")
    return Policy(
        mode=Mode(record["mode"]),
        remedies_on=frozenset(Remedy(name) for name in record["remedies_on"]),
        thresholds=Thresholds(**record["thresholds"]),
        budgets={Remedy(name): Budget(**budget) for name, budget in record["budgets"].items()},
        expiries_ns={Remedy(name): int(expiry) for name, expiry in record["expiries_ns"].items()},
        tick_ns=int(record["tick_ns"]),
        idle_tick_ns=int(record["idle_tick_ns"]),
    )
