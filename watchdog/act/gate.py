"""Who has forbidden to act: a person, a file, or the configuration.

Law: `inhibit` and `pause` hold for everybody, a person's own `act` included.
The mode, a remedy that is off and a budget that is spent hold for the agent; a
person who asks for a remedy by name has decided.  The agent counts its budget
itself before it asks; it is counted again here, because who asks may have fewer
rights than we have.  What cannot be read counts as forbidden.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from enum import Enum

from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.history import History
from watchdog.core.policy import DEFAULT_BUDGETS, Mode, Remedy
from watchdog.errors import Refused


class Who(str, Enum):
    """On whose behalf an action is made."""

    AGENT = "agent"
    PERSON = "person"


def check(settings: ActSettings, remedy: Remedy, who: Who, wall_ns: int) -> None:
    """Raises Refused while somebody has forbidden this remedy."""
    check_inhibit(settings)
    check_pause(settings, wall_ns)
    if who is Who.PERSON:
        return
    if settings.mode is not Mode.ENFORCE:
        raise Refused(f"the mode is {settings.mode.value}")
    if remedy not in settings.remedies_on:
        raise Refused(f"{remedy.value} is switched off")


def check_budget(settings: ActSettings, remedy: Remedy, cause: Cause, who: Who, history: History) -> None:
    """Raises Refused where the agent has used this remedy for this cause as often as it may, or just now."""
    if who is Who.PERSON:
        return
    budget = settings.budgets.get(remedy, DEFAULT_BUDGETS[remedy])
    if not history.remaining(remedy, cause.value, budget):
        raise Refused(f"the budget of {remedy.value} for {cause.value} is spent")
    pause_ns = history.cooldown_ns(remedy, cause.value, budget)
    if pause_ns:
        raise Refused(f"{remedy.value} again in {pause_ns / 1e9:.0f} s")


def check_inhibit(settings: ActSettings) -> None:
    """Raises Refused while one of the inhibit files is there."""
    for path in settings.inhibit_files:
        try:
            path.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Refused(
                f"{path} cannot be looked at ({error.strerror}), so all action is inhibited"
            ) from error
        raise Refused(f"all action is inhibited: remove {path} to allow it")


def check_pause(settings: ActSettings, wall_ns: int) -> None:
    """Raises Refused while a person's pause lasts."""
    path = settings.state_dir / "pause.json"
    try:
        pause = json.loads(path.read_bytes())
        until_ns, reason, owner = int(pause["until_wall_ns"]), str(pause["reason"]), str(pause["owner"])
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{path} cannot be read ({error!r}), so action is paused; remove it to allow action"
        ) from error
    if wall_ns < until_ns:
        until = datetime.fromtimestamp(until_ns / 1e9, timezone.utc).isoformat(timespec="seconds")
        raise Refused(f"{owner} has paused all action until {until}: {reason}")
