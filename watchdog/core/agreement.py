"""What agrees with a line of a log, at the moment at which it was written.

A line alone confirms nothing: a program may write anything.  A client that left
without its image, or a connection of the runtime's, is seen by the agent itself.

Law: looked for while the line is young, and kept with it; what was seen then is
forgotten later, the line is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, List, Optional, Tuple

from watchdog.core.evidence import Evidence, Kind
from watchdog.core.observation import Client, ImageEvent, RuntimeSeen, TcpEvent
from watchdog.core.policy import SECOND_NS
from watchdog.core.reference import parse_reference
from watchdog.core.symptom import SymptomKind
from watchdog.core.told import Told

LEAVES_WITHIN_NS = 15 * SECOND_NS  # between the line and the sight that the client is gone
TALKS_WITHIN_NS = 5 * SECOND_NS
LOOKED_BACK_NS = LEAVES_WITHIN_NS + TALKS_WITHIN_NS  # older events agree with no young line

_VERBS = ("pull", "push")
# Whoever says these has been asked over a connection; a name that is not found never was.
_OVER_A_CONNECTION = (
    SymptomKind.RATE_LIMITED,
    SymptomKind.AUTH,
    SymptomKind.NOT_FOUND,
    SymptomKind.TLS,
    SymptomKind.INTEGRITY,
)


@dataclass(frozen=True)
class Witness:
    """What is known besides the logs of one runtime.

    `left`: the clients that ended, with when.  `images`: what came, with the wall
    time; `wall_ns` is that clock at `now_ns`.
    """

    runtime: RuntimeSeen
    now_ns: int
    wall_ns: int
    left: Tuple[Tuple[int, Client], ...]
    events: Tuple[TcpEvent, ...]
    images: Tuple[Tuple[int, ImageEvent], ...]


def is_open(told: Told, now_ns: int) -> bool:
    """Whether something may still come that agrees with it."""
    return not told.asked_for and now_ns - told.at_ns <= LEAVES_WITHIN_NS


def with_agreement(told: Told, witness: Witness) -> Told:
    """The line with what agrees with it by now."""
    found: List[Evidence] = list(told.agrees)
    if not found and told.symptom.kind in _OVER_A_CONNECTION:
        found += _talked(told, witness)
    if not found and told.symptom.kind is SymptomKind.DISK_FULL and witness.runtime.data_root_full:
        found.append(Evidence(Kind.COUNTERS, f"{witness.runtime.data_root} has no space left"))
    client = _who_left(told, witness)
    if client is not None:
        what = f"docker {client.verb} {client.image or ''}".strip()
        words = f"{what} (pid {client.key.pid}) ended then, and the image did not come"
        found.append(Evidence(Kind.PROCESS_STATE, words))
    asked_for = client.image or "" if client is not None else ""
    return replace(told, agrees=tuple(found), asked_for=asked_for)


def _talked(told: Told, witness: Witness) -> Iterable[Evidence]:
    """A connection of the runtime's that began or ended at that moment."""
    process = witness.runtime.process
    for event in reversed(witness.events):
        is_theirs = process is not None and event.pid == process.pid and event.what == "state"
        if is_theirs and abs(event.at_ns - told.at_ns) <= TALKS_WITHIN_NS:
            peer = f"{event.remote_address or 'a peer'}:{event.remote_port}"
            yield Evidence(Kind.KERNEL_EVENT, f"the runtime was connected to {peer} at that moment")
            return


def _who_left(told: Told, witness: Witness) -> Optional[Client]:
    """The client that pulled or pushed, and was gone right after the line, without its image."""
    for at_ns, client in reversed(witness.left):
        is_near = -TALKS_WITHIN_NS <= at_ns - told.at_ns <= LEAVES_WITHIN_NS
        if is_near and client.verb in _VERBS and not _has_come(client, told, witness):
            return client
    return None


def _has_come(client: Client, told: Told, witness: Witness) -> bool:
    wanted = str(parse_reference(client.image or ""))
    since_wall_ns = witness.wall_ns - (witness.now_ns - told.at_ns) - LEAVES_WITHIN_NS
    return any(
        at_wall_ns >= since_wall_ns and event.action == "pull" and event.reference == wanted
        for at_wall_ns, event in witness.images
    )
