"""What the agent knows of itself, beside what a Tick says of the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class Vitals:
    """The agent's own health at the end of a tick.

    `engine_attempts`: (engine, why it is not the one in use), in the order
    tried.  `tick_ns`: how long the last tick took.  `action_in_flight`: its
    remedy, or "".  `metrics_address`: HOST:PORT that is really bound, or "".
    `dropped`: (queue, how many entries did not fit) since the start.
    `configured_ns`: when the configuration was last read; `reload_problem`: why
    what was read then is not in force, or "".
    """

    engine: str = ""
    engine_attempts: Tuple[Tuple[str, str], ...] = ()
    kernel_events_lost: int = 0
    tick_ns: int = 0
    action_in_flight: str = ""
    ledger_usable: bool = False
    metrics_address: str = ""
    dropped: Tuple[Tuple[str, int], ...] = ()
    configured_ns: int = 0
    reload_problem: str = ""
