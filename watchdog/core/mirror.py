"""Mirrors that we have taken out of use, and which of them may come back.

Law: a bypass ends when the mirror has served again several times in a row, asked
for what it failed at; the answers count only for the bypass that they were asked for.
"""

from __future__ import annotations

import json
from typing import List, Optional, Tuple

from watchdog.core.history import History
from watchdog.core.observation import LedgerEntry
from watchdog.core.policy import Remedy
from watchdog.core.tick import Bypassed
from watchdog.core.world import World

HEALED_ANSWERS = 3


def bypassed(history: History) -> Tuple[Bypassed, ...]:
    """The mirrors that are out of use by actions of ours."""
    found = [_bypassed(one) for one in _entries(history)]
    return tuple(one for one in found if one is not None)


def healed(history: History, world: World) -> Optional[LedgerEntry]:
    """The oldest bypass whose mirror serves again."""
    for entry in _entries(history):
        one = _bypassed(entry)
        seen = world.mirrors.get((one.runtime, one.endpoint)) if one else None
        if seen is not None and seen.action == entry.action and seen.answers >= HEALED_ANSWERS:
            return entry
    return None


def last_change_wall_ns(history: History, runtime: str) -> int:
    """When an action of ours, or its end, changed a runtime's mirrors last; 0 for never."""
    changes = (
        one.wall_ns
        for one in history.entries
        if one.remedy == Remedy.BYPASS_MIRROR.value and one.runtime == runtime
    )
    return max(changes, default=0)


def _entries(history: History) -> List[LedgerEntry]:
    return [one for one in history.lasting() if one.remedy == Remedy.BYPASS_MIRROR.value]


def _bypassed(entry: LedgerEntry) -> Optional[Bypassed]:
    try:
        memory = json.loads(entry.detail_json)
        return Bypassed(entry.action, entry.runtime, str(memory["endpoint"]), str(memory.get("image", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # another version's; its time will end it
