"""What the runtime has said of itself: now, or before it fell silent.

A runtime whose API is silent cannot be asked whether containers survive its
restart.  The agent's state file holds what it said before; that counts only if
the very same process said it, and where it forbids more than the machine itself
shows now: who writes that file may have fewer rights than we have.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from watchdog.act import traces_of_runtime
from watchdog.act.identity import Subject
from watchdog.act.settings import ActSettings
from watchdog.core.observation import ProcessKey
from watchdog.errors import Refused
from watchdog.host.docker import ApiError, DockerApi

_MOST_BYTES = 4 << 20
_ASK_S = 5.0


@dataclass(frozen=True)
class LastAnswer:
    """`is_fresh`: said just now; otherwise it is from before the API fell silent."""

    is_fresh: bool
    live_restore: bool
    containers_running: int
    swarm: bool


def ask(settings: ActSettings, daemon: Subject) -> LastAnswer:
    """The answer of this very process; Refused where it never gave one."""
    try:
        told = DockerApi(settings.socket_path or "", _ASK_S).info()
        return LastAnswer(
            True, bool(told["LiveRestoreEnabled"]), int(told["ContainersRunning"]), _in_swarm(told)
        )
    except (ApiError, KeyError, TypeError, ValueError) as error:
        earlier = _earlier(settings, daemon.key)
        if earlier is None:
            raise Refused(
                f"its API is silent ({error}) and it never answered before: nobody knows what runs in it"
            ) from error
        return _borne_out(earlier, daemon)


def _borne_out(told: LastAnswer, daemon: Subject) -> LastAnswer:
    """The same, as far as the machine bears it out."""
    return LastAnswer(
        False,
        told.live_restore and traces_of_runtime.has_live_restore(daemon),
        max(told.containers_running, traces_of_runtime.containers(daemon)),
        told.swarm or traces_of_runtime.is_in_swarm(daemon),
    )


def _in_swarm(told: Mapping[str, Any]) -> bool:
    return (told.get("Swarm") or {}).get("LocalNodeState", "inactive") not in ("inactive", "")


def _earlier(settings: ActSettings, daemon: ProcessKey) -> Optional[LastAnswer]:
    try:
        with (settings.run_dir / "state.json").open("rb") as file:
            runtimes = json.loads(file.read(_MOST_BYTES))["runtimes"]
        wanted = {"pid": daemon.pid, "start_ticks": daemon.start_ticks}
        told = next(one for one in runtimes if one["process"] == wanted)
        values = told["live_restore"], told["containers_running"], told["swarm"]
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None
    if any(one is None for one in values):
        return None
    return LastAnswer(False, bool(values[0]), int(values[1]), bool(values[2]))
