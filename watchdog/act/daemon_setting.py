"""One setting of the running daemon changed for a while: in its file, then by a reload, and back.

Law: it is made only where it can be undone the same way, and undone at once where
its effect is not seen.  Every step can be found out later from the file and from
what the runtime tells, so a change that was cut short is simply looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

from watchdog.act import daemon_json, json_text, reload
from watchdog.act.daemon_command import command_of
from watchdog.act.daemon_json import Change
from watchdog.act.identity import Subject, held
from watchdog.act.remedy import Made, Trace
from watchdog.act.runtime import current_key, held_runtime
from watchdog.act.settings import ActSettings
from watchdog.core.observation import Outcome, ProcessSample
from watchdog.errors import Refused, Unavailable


def plan(settings: ActSettings, daemon: Subject, key: str, value: Callable[[Any], str]) -> Change:
    """Check that the setting can be changed now.

    `value` gives the JSON text for the key, from its value in the file (None: not there).
    """
    started = command_of(daemon)
    daemon_json.check_flags(started, key)
    file = daemon_json.find(daemon, started)
    wanted = daemon_json.change(file, key, value(file.value(key)))
    reload.check(settings, daemon, file)
    return wanted


def make(settings: ActSettings, daemon: Subject, wanted: Change) -> None:
    """Write it and reload.  Refused: nothing was touched.  Unavailable: without effect, and undone."""
    started = command_of(daemon)
    file = daemon_json.find(daemon, started)
    reload.check(settings, daemon, file)
    reload.remember(settings, daemon, file, wanted)
    daemon_json.write(wanted, started)
    if not reload.perform(settings, daemon, wanted):
        daemon_json.take_back(wanted, started)
        reload.perform(settings, daemon, wanted.reverse)
        raise Unavailable(f"the runtime did not take {wanted.key} from {wanted.path}: it is as it was")


def trace(settings: ActSettings, sample: Optional[ProcessSample], wanted: Change) -> Trace:
    """What became of a change that was cut short; one that was written only is put back."""
    now = _text(wanted)
    if now != wanted.after:
        return Trace.NONE if now == wanted.before else Trace.UNKNOWN
    with held_runtime(settings, sample) as daemon:
        if reload.in_force(settings, daemon, wanted):
            return Trace.MADE
        daemon_json.take_back(wanted, command_of(daemon))
        return Trace.NONE


def undo(settings: ActSettings, wanted: Change) -> Made:
    """Put the setting back and reload.  Raises Unavailable where it is back in the file only."""
    if _text(wanted) not in (wanted.after, wanted.before):
        return Made(Outcome.DONE, f"somebody has changed {wanted.key} in {wanted.path} since: it is left so")
    key = current_key(settings)
    if key is None:
        daemon_json.take_back(wanted, None)
        return Made(Outcome.DONE, f"{wanted.path} is as it was; the runtime does not run")
    with held(key) as daemon:
        return _undo_running(settings, daemon, wanted)


def _undo_running(settings: ActSettings, daemon: Subject, wanted: Change) -> Made:
    started, back = command_of(daemon), wanted.reverse
    file = daemon_json.find(daemon, started)
    pending = ""
    try:
        daemon_json.check_reloadable(started)
        reload.check(settings, daemon, file, wanted.key)
        reload.remember(settings, daemon, file, back)
    except Refused as error:
        pending = str(error)
    daemon_json.take_back(wanted, started)
    if reload.in_force(settings, daemon, back):
        return Made(Outcome.DONE, f"{wanted.key} is as it was")
    if pending:
        raise Unavailable(f"{wanted.path} is as it was, but that is not in force yet: {pending}")
    if not reload.perform(settings, daemon, back):
        raise Unavailable(f"{wanted.path} is as it was, but the runtime has not taken it yet")
    return Made(Outcome.DONE, f"{wanted.key} is as it was, and in force again")


def _text(wanted: Change) -> Optional[str]:
    """The key's text in the file as it is now."""
    return json_text.value_text(daemon_json.read(Path(wanted.path)).text, wanted.key)
