"""Ledger entries for tests."""

from __future__ import annotations

from typing import Any

from watchdog.core.observation import LedgerEntry, Outcome

DAY_NS = 24 * 3600 * 10**9
NOW_NS = 1_700_000_000 * 10**9


def entry(action: str, phase: str, **fields: Any) -> LedgerEntry:
    """An entry of one action; what is not said is the same for all."""
    common = {
        "wall_ns": NOW_NS,
        "boot_id": "boot",
        "incident": "pw-1",
        "remedy": "resume",
        "cause": "decompressor_stopped",
        "runtime": "docker",
    }
    return LedgerEntry(action=action, phase=phase, **{**common, **fields})


def done(action: str, **fields: Any) -> LedgerEntry:
    return entry(action, "result", outcome=Outcome.DONE, **fields)
