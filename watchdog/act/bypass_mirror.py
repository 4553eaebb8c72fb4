"""bypass_mirror: take a mirror that fails out of registry-mirrors, until it serves again.

dockerd asks the mirrors of docker.io one by one and passes over those that refuse
or answer an error.  It never passes over one that takes a request and is silent,
and one that fails a layer costs six attempts first.  So the mirror is taken out:
docker.io itself must answer before that, for a mirror may be the only way out of
a node; and the mirror must fail now, asked for the image that waits.

The list is in force for new pulls.  A pull that waits at the mirror still does, so
then the requests to it that stay silent are ended: with another place to go on
to, dockerd goes on to it, a manifest's request at once and a layer's when its
attempts are spent.  That ends no pull, as it would where there is no mirror.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Set, Tuple
from urllib.parse import urlsplit

from watchdog.act import daemon_setting
from watchdog.act.daemon_json import Change
from watchdog.act.identity import Subject
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.act.socket_destroy import destroy
from watchdog.core.causes import p2p
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import ConnectionSample, Outcome
from watchdog.core.policy import Remedy
from watchdog.core.reference import DEFAULT_REGISTRY, Reference, parse_reference
from watchdog.core.tcp import ESTABLISHED
from watchdog.core.transfer import is_written
from watchdog.errors import Refused
from watchdog.host import birth, blobs, registry, tcp

KEY = "registry-mirrors"
_ASK_S = 10.0
_SILENT_S = 5.0  # a request at the mirror that stays silent for so long after the change is ended
_LOOK_EVERY_S = 1.0
_PAUSE_S = 35.0  # dockerd pauses up to 25 s between two attempts at a layer
_LEFT_FOR_RESULT_S = 10.0


@dataclass(frozen=True)
class Bypass:
    """The mirror as its list names it, an image that it should serve ("" for none), and the change."""

    endpoint: str
    image: str
    change: Change


def plan(context: Context) -> Plan[Bypass]:
    """Check that the mirror fails, that docker.io answers, and that the list can be changed."""
    named, image = _named(context), _image(context)
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        change = daemon_setting.plan(
            context.settings, daemon, KEY, lambda value: json.dumps(_list_without(value, named))
        )
        endpoint = _taken_out(change)
        environment = birth.environment(daemon.key)
        failing = _check_fails(endpoint, environment, image)
        _check_origin(environment)
    return Plan(
        steps=(
            f"take {endpoint} out of {KEY} in {change.path}, and reload (SIGHUP), because {failing}",
            "end the requests to it that stay silent, so that their pulls go on to docker.io",
        ),
        memory=Bypass(endpoint, str(image) if image else "", change),
        expires_wall_ns=context.wall_ns + context.settings.expiries_ns[Remedy.BYPASS_MIRROR],
    )


def effect(context: Context, intended: Plan[Bypass]) -> Made:
    """Change the list, then free what waits at the mirror."""
    settings, memory = context.settings, intended.memory
    ends_at = time.monotonic() + settings.deadlines_ns[Remedy.BYPASS_MIRROR] / 1e9 - _LEFT_FOR_RESULT_S
    with held_runtime(settings, context.incident.daemon) as daemon:
        daemon_setting.make(settings, daemon, memory.change)
        ended = _free_waiting(daemon, memory.endpoint, ends_at)
    freed = f"; {ended} silent request(s) to it were ended" if ended else ""
    return Made(Outcome.DONE, f"{memory.endpoint} is out of {KEY}: new pulls go to docker.io{freed}")


def trace(context: Context, memory: Bypass) -> Trace:
    """The list tells."""
    return daemon_setting.trace(context.settings, context.incident.daemon, memory.change)


def undo(settings: ActSettings, memory: Bypass) -> Made:
    """Put the mirror back into the list, if nobody has changed that since."""
    return daemon_setting.undo(settings, memory.change)


# --- what must hold before ------------------------------------------------------------------


def _named(context: Context) -> str:
    """The mirror's URL, or its host and port."""
    target = context.incident.target
    if target is None or not target.endpoint:
        raise Refused("the incident names no mirror")
    is_url = "://" in target.endpoint  # else a P2P client of this node, which speaks plain HTTP
    return target.endpoint if is_url else f"http://{target.endpoint}/"


def _image(context: Context) -> Optional[Reference]:
    """An image of docker.io that waits: what the mirror is asked for."""
    names = (context.incident.image, *(one.image for one in context.incident.pulls))
    found = (parse_reference(name or "") for name in names)
    return next((one for one in found if one and one.registry == DEFAULT_REGISTRY), None)


def _list_without(value: Any, named: str) -> List[str]:
    mirrors = [str(one) for one in value] if isinstance(value, list) else []
    left = [one for one in mirrors if named.rstrip("/") not in (one.rstrip("/"), urlsplit(one).netloc)]
    if len(left) != len(mirrors) - 1:
        raise Refused(f"{named} is not among the {KEY} of the runtime's file")
    return left


def _taken_out(change: Change) -> str:
    """The mirror that is in the old list and not in the new one, as /info tells it: with a slash behind."""
    left = json.loads(change.after or "[]")
    (endpoint,) = (one for one in json.loads(change.before or "[]") if one not in left)
    return f"{str(endpoint).rstrip('/')}/"


def _check_fails(endpoint: str, environment: Dict[str, str], image: Optional[Reference]) -> str:
    """What is wrong with the mirror now.  Refused when it serves."""
    answer = registry.ask(endpoint, environment, _ASK_S, image)
    if answer.serves:
        raise Refused(f"the mirror serves by now: {answer.detail}")
    return answer.detail


def _check_origin(environment: Dict[str, str]) -> None:
    answer = registry.ask(registry.DOCKER_IO, environment, _ASK_S)
    if not answer.serves:
        raise Refused(f"the mirror may be the only way out of this node: {answer.detail}")


# --- what waits at the mirror -----------------------------------------------------------------


def _free_waiting(daemon: Subject, endpoint: str, ends_at: float) -> int:
    """End silent requests to the mirror until nothing waits for it any more; how many were ended.

    dockerd asks the mirror again for a layer, until its attempts are spent.
    """
    peers = set(registry.addresses(endpoint, _ASK_S))
    waiting = {one.name: one.size_bytes for one in blobs.download_files(daemon.process) if is_written(one)}
    quiet: Dict[int, Tuple[int, float]] = {}  # inode -> bytes received, and since when no more
    asked_at = time.monotonic() - _PAUSE_S
    ended = 0
    while time.monotonic() < ends_at:
        asked = _requests(daemon, peers)
        asked_at = time.monotonic() if asked else asked_at
        quiet = {one.inode: _quiet_since(one, quiet.get(one.inode)) for one in asked}
        silent = [one for one in asked if time.monotonic() - quiet[one.inode][1] >= _SILENT_S]
        ended += sum(_end(one) for one in silent)
        waiting = _still(waiting, daemon)
        if len(silent) == len(asked) and (not waiting or time.monotonic() - asked_at > _PAUSE_S):
            break
        time.sleep(_LOOK_EVERY_S)
    return ended


def _requests(daemon: Subject, peers: Set[str]) -> List[ConnectionSample]:
    """The connections to the mirror that are up and have nothing unread."""
    return [
        one
        for one in tcp.look(daemon.process).opened
        if one.remote in peers and one.state == ESTABLISHED and not one.receive_queue_bytes
    ]


def _quiet_since(one: ConnectionSample, before: Optional[Tuple[int, float]]) -> Tuple[int, float]:
    received = one.received_bytes or 0
    return before if before is not None and before[0] == received else (received, time.monotonic())


def _end(one: ConnectionSample) -> bool:
    try:
        destroy(one.cookie or 0, one.inode)
    except Refused:
        return False  # it has ended by itself
    return True


def _still(waiting: Dict[str, int], daemon: Subject) -> Dict[str, int]:
    """The layers that stand where they stood: neither grown nor given up."""
    now = {one.name: one.size_bytes for one in blobs.download_files(daemon.process)}
    return {name: size for name, size in waiting.items() if now.get(name) == size}


BYPASS_MIRROR = RemedyCode(
    name=Remedy.BYPASS_MIRROR,
    causes=p2p.CAUSES | {Cause.MIRROR_FAILING},
    memory=Bypass,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
