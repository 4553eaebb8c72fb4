"""Questions to systemd about a unit, and the two orders that we give it.

Law: the closed list below is all that is ever asked of systemd.
"""

from __future__ import annotations

from typing import Dict, List

from watchdog.errors import Unavailable
from watchdog.host import command

_ASK_DEADLINE_S = 5.0


def show(unit: str, *properties: str) -> Dict[str, str]:
    """Properties of a unit by name.  Raises Unavailable where systemd does not answer."""
    done = command.run(["systemctl", "show", "-p", ",".join(properties), "--", unit], _ASK_DEADLINE_S)
    if not done.succeeded:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unavailable(f"systemctl show {unit}: {said[-1] if said else 'no answer'}")
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    pairs = [line.partition("=") for line in lines if "=" in line]
    found: Dict[str, List[str]] = {}
    for name, _, value in pairs:
        found.setdefault(name, []).append(value)  # EnvironmentFiles has a line for each file
    return {name: "\n".join(values) for name, values in found.items()}


def restart(unit: str) -> List[str]:
    """The command that restarts a unit and returns when that is done."""
    return ["systemctl", "restart", "--", unit]


def start(unit: str) -> List[str]:
    """The command that starts a unit; without effect on one that runs."""
    return ["systemctl", "start", "--", unit]
