"""Questions to the ledger: what was done before, and what may still be done.

Law: budgets count per host, remedy and cause, over restarts and reboots; an
intent counts whether or not its result is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Dict, Iterable, List, Mapping, Optional, Set, Tuple

from watchdog.core.observation import LedgerEntry, Outcome, ProcessKey
from watchdog.core.policy import DAY_NS, Budget, Remedy

RECURRENCE_WINDOW_NS = DAY_NS


@dataclass(frozen=True)
class History:
    """A view on the ledger's entries at a moment of the wall clock."""

    entries: Tuple[LedgerEntry, ...]
    now_wall_ns: int

    def uses(self, remedy: Remedy, cause: str, window_ns: int) -> List[LedgerEntry]:
        """The intents of that remedy for that cause in the window, since the last `ack` of the cause."""
        since = max(self.now_wall_ns - window_ns, self._acknowledged_wall_ns.get(cause, 0))
        return [one for one in self._attempts.get((remedy.value, cause), ()) if one.wall_ns > since]

    def remaining(self, remedy: Remedy, cause: str, budget: Budget) -> int:
        """How many more times the budget allows."""
        return max(0, budget.count - len(self.uses(remedy, cause, budget.window_ns)))

    def cooldown_ns(self, remedy: Remedy, cause: str, budget: Budget) -> int:
        """How long until the remedy's cool-down is over; 0 when it is."""
        last = max((one.wall_ns for one in self.uses(remedy, cause, budget.window_ns)), default=None)
        if last is None:
            return 0
        return max(0, last + budget.cooldown_ns - self.now_wall_ns)

    def resumed(self, culprit: ProcessKey, boot_id: str) -> bool:
        """True when we have continued that very process before, or may have."""
        return self.made(Remedy.RESUME, culprit, boot_id, 0)

    def made(self, remedy: Remedy, culprit: ProcessKey, boot_id: str, since_wall_ns: int) -> bool:
        """True when that remedy took effect on that very process, or may have."""
        return any(
            one.phase == "result"
            and one.remedy == remedy.value
            and one.outcome in (Outcome.DONE, Outcome.EXPIRED)
            and one.culprit == culprit
            and one.boot_id == boot_id
            and one.wall_ns > since_wall_ns
            for one in self.entries
        )

    def recurrences(self, runtime: str, causes: Iterable[str], but_incident: str) -> int:
        """How often that kind of culprit was killed on this runtime lately, in other incidents."""
        kinds = set(causes)
        return len(
            {
                one.incident
                for one in self.entries
                if one.phase == "result"
                and one.remedy == Remedy.KILL_DECOMPRESSOR.value
                and one.outcome is Outcome.DONE
                and one.runtime == runtime
                and one.cause in kinds
                and one.incident != but_incident
                and one.wall_ns > self.now_wall_ns - RECURRENCE_WINDOW_NS
            }
        )

    def lasting(self) -> List[LedgerEntry]:
        """The intents of lasting changes that may have been made and are not undone, oldest first."""
        undone = {one.action for one in self.entries if one.phase == "revert" and one.outcome is Outcome.DONE}
        untouched = self._actions_that_ended(Outcome.REFUSED)
        return [
            one
            for one in self.entries
            if one.phase == "intent"
            and one.expires_wall_ns is not None
            and one.action not in undone | untouched
        ]

    def due(self, boot_id: str) -> Optional[LedgerEntry]:
        """The oldest lasting change whose time is over; none outlives its boot."""
        over = (
            one
            for one in self.lasting()
            if (one.expires_wall_ns or 0) <= self.now_wall_ns or one.boot_id != boot_id
        )
        return next(over, None)

    def last_revert_ns(self, action: str) -> int:
        """When an undo of that action was last tried, as wall time; 0 for never."""
        tried = (one.wall_ns for one in self.entries if one.phase == "revert" and one.action == action)
        return max(tried, default=0)

    # A tick asks for the budget of every pair of remedy and cause, and a ledger may be long.
    @cached_property
    def _attempts(self) -> Mapping[Tuple[str, str], List[LedgerEntry]]:
        """The intents that were not refused, by remedy and cause."""
        refused = self._actions_that_ended(Outcome.REFUSED)
        found: Dict[Tuple[str, str], List[LedgerEntry]] = {}
        for one in self.entries:
            if one.phase == "intent" and one.action not in refused:
                found.setdefault((one.remedy, one.cause), []).append(one)
        return found

    @cached_property
    def _acknowledged_wall_ns(self) -> Mapping[str, int]:
        """When each cause was acknowledged last."""
        found: Dict[str, int] = {}
        for one in self.entries:
            if one.phase == "ack":
                found[one.cause] = max(one.wall_ns, found.get(one.cause, 0))
        return found

    def _actions_that_ended(self, outcome: Outcome) -> Set[str]:
        return {one.action for one in self.entries if one.phase == "result" and one.outcome is outcome}
