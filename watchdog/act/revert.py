"""Undoing what an action has changed, or saying why that cannot be.

Law: undoing is never blocked by a pause, a budget or the mode; it is what a
person needs in a hurry.  It takes the same lock, and the ledger remembers it.
Undoing twice is harmless.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import List, Sequence

from watchdog.act import lock
from watchdog.act.ledger import Ledger, in_force
from watchdog.act.remedies import code_of
from watchdog.act.remedy import Made
from watchdog.act.run import Result
from watchdog.act.settings import settings_for
from watchdog.act.substitute_decompressor import SUBSTITUTE_DECOMPRESSOR, is_outdated
from watchdog.config import Config
from watchdog.core.observation import LedgerEntry, Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import Refused, WatchdogError
from watchdog.host import proc

ALL = "all"
EXPIRED = "expired"
NOTHING = "Nothing of that kind is in force."


def revert(config: Config, target: str) -> List[Result]:
    """Undo an action by its id, the changes of a remedy by its name, or "all", or those that are "expired".

    An empty list: nothing of that kind is in force.  Raises Refused for an
    action that nobody knows or that cannot be undone, and LedgerError.
    """
    with lock.hold(config.run_dir, "revert", target, wait_s=10.0):
        ledger = Ledger(config.state_dir)
        chosen = _chosen(config, ledger.read(), target)
        return [_undo(config, ledger, entry) for entry in reversed(chosen)]


def summary(results: Sequence[Result]) -> str:
    """What undoing came to, as one line of JSON."""
    detail = "; ".join(one.detail for one in results) or NOTHING
    told = [json.loads(one.to_json()) for one in results]
    return json.dumps({"outcome": worst(results).value, "detail": detail, "results": told})


def worst(results: Sequence[Result]) -> Outcome:
    """What the whole came to: done only if each was."""
    order = (Outcome.EXPIRED, Outcome.FAILED, Outcome.REFUSED)
    outcomes = {one.outcome for one in results}
    return next((one for one in order if one in outcomes), Outcome.DONE)


def due(config: Config, entries: Sequence[LedgerEntry]) -> List[LedgerEntry]:
    """The lasting changes whose time is over: expired, of an earlier boot, or overtaken by an upgrade."""
    now, boot = time.time_ns(), proc.boot_id()
    return [
        one
        for one in in_force(entries)
        if (one.expires_wall_ns or 0) <= now or one.boot_id != boot or _is_overtaken(config, one)
    ]


def _chosen(config: Config, entries: Sequence[LedgerEntry], target: str) -> List[LedgerEntry]:
    lasting = in_force(entries)
    if target == ALL:
        return lasting
    if target == EXPIRED:
        return due(config, entries)
    if target in {one.value for one in Remedy}:
        _check_can_be_undone(Remedy(target))
        return [one for one in lasting if one.remedy == target]
    return _by_action(entries, lasting, target)


def _by_action(
    entries: Sequence[LedgerEntry], lasting: Sequence[LedgerEntry], action: str
) -> List[LedgerEntry]:
    intent = next((one for one in entries if one.action == action and one.phase == "intent"), None)
    if intent is None:
        raise Refused(f'the ledger knows no action "{action}"')
    _check_can_be_undone(Remedy(intent.remedy))
    return [one for one in lasting if one.action == action]


def _check_can_be_undone(remedy: Remedy) -> None:
    code = code_of(remedy)
    if code.undo is None:
        raise Refused(f"{remedy.value} cannot be undone: {code.why_not_undone}")


def _undo(config: Config, ledger: Ledger, intent: LedgerEntry) -> Result:
    made = _made(config, intent)
    ledger.append(
        replace(
            intent,
            phase="revert",
            wall_ns=time.time_ns(),
            boot_id=proc.boot_id(),
            outcome=made.outcome,
            detail=made.detail,
            detail_json="{}",
        )
    )
    return Result(intent.action, intent.remedy, intent.incident, made.outcome, made.detail)


def _made(config: Config, intent: LedgerEntry) -> Made:
    code = code_of(Remedy(intent.remedy))
    if code.undo is None:
        return Made(Outcome.REFUSED, code.why_not_undone)
    try:
        return code.undo(settings_for(config, intent.runtime), code.remembered(intent))
    except WatchdogError as error:
        return Made(Outcome.FAILED, str(error))


def _is_overtaken(config: Config, intent: LedgerEntry) -> bool:
    if intent.remedy != Remedy.SUBSTITUTE_DECOMPRESSOR.value:
        return False
    try:
        settings = settings_for(config, intent.runtime)
        return is_outdated(settings, SUBSTITUTE_DECOMPRESSOR.remembered(intent))
    except WatchdogError:
        return False  # it cannot be looked at now; its expiry remains
