"""Whether a fault of the network is over, from later observations only.

Law: as in core/verification: recovered only by bytes or an image that came after
the action.  A layer that is not there any more is no success.
"""

from __future__ import annotations

from typing import Optional, Tuple

from watchdog.core.causes.finding import Cause
from watchdog.core.causes.p2p import sign_of_recovery
from watchdog.core.incident import EFFECTIVE, Incident, Verdict
from watchdog.core.observation import Api, BlobSample
from watchdog.core.policy import Remedy
from watchdog.core.progress import arrival_of_pulls
from watchdog.core.target import Target
from watchdog.core.transfer import Transfers
from watchdog.core.verification import LOOKS_FOR_IMAGE, Judgement
from watchdog.core.world import World

LOOKS_WITHOUT = 5  # looks in which it is not found any more, until it counts as over
OF_THE_P2P_CLIENT = (Remedy.RAISE_P2P_TIMEOUT, Remedy.RESTART_P2P)
LOOKS_FOR_FALLBACK = 150  # without its mirror a pull goes on when all attempts at the mirror are spent
LOOKS_FOR_GROWTH = 60  # dockerd pauses up to 25 s between attempts, and then asks anew


def can_be_judged(target: Target, runtime: str, transfers: Transfers, now_ns: int) -> bool:
    """Law 2: where its connections are not seen, nothing is said of a layer."""
    is_of_a_transfer = target.blob is not None or target.connection is not None
    return not is_of_a_transfer or transfers.scanned_ns.get(runtime) == now_ns


def verify_target(incident: Incident, world: World, transfers: Transfers) -> Optional[Judgement]:
    """The verdict on the incident's last action; None while it cannot be said."""
    if incident.cause is Cause.DAEMON_UNRESPONSIVE:
        return _of_api(incident, world)
    sign = (
        _growth(incident, transfers)
        or arrival_of_pulls(incident, world)
        or _movement(incident, world, transfers)
    )
    if sign:
        return Judgement(Verdict.RECOVERED, sign)
    if _is_gone(incident, transfers) and incident.looks >= LOOKS_FOR_IMAGE:
        return Judgement(Verdict.INCONCLUSIVE, "its download ended, and the image did not come", ended=True)
    if incident.looks >= _patience(incident):
        return Judgement(Verdict.NOT_RECOVERED, f"not one byte came in {incident.looks} samples since")
    return None


def _patience(incident: Incident) -> int:
    return LOOKS_FOR_FALLBACK if incident.cause is Cause.MIRROR_FAILING else LOOKS_FOR_GROWTH


def what_became(incident: Incident, world: World, transfers: Transfers) -> Tuple[bool, str]:
    """Of a fault that is not found any more: whether its subject is still there, and a reason."""
    sign = _growth(incident, transfers) or arrival_of_pulls(incident, world)
    if sign:
        return True, f"{sign}, without an action of ours"
    if _is_gone(incident, transfers):
        return False, "its download ended without an action of ours"
    return True, "it is not seen any more"


def _of_api(incident: Incident, world: World) -> Optional[Judgement]:
    seen = world.runtimes.get(incident.runtime)
    if seen is not None and seen.api is Api.ANSWERS:
        return Judgement(Verdict.RECOVERED, "the API answers")
    if incident.looks >= LOOKS_FOR_GROWTH:
        return Judgement(Verdict.NOT_RECOVERED, f"the API was silent in {incident.looks} samples since")
    return None


def _file_now(incident: Incident, transfers: Transfers) -> Optional[BlobSample]:
    target, scan = incident.target, transfers.scans.get(incident.runtime)
    if target is None or target.blob is None or scan is None:
        return None
    return next((one for one in scan.blobs if one.name == target.blob.name), None)


def _growth(incident: Incident, transfers: Transfers) -> str:
    now, target = _file_now(incident, transfers), incident.target
    if now is None or target is None or target.blob is None or now.size_bytes <= target.blob.size_bytes:
        return ""
    return f"{now.name} has grown by {now.size_bytes - target.blob.size_bytes} bytes since"


def _movement(incident: Incident, world: World, transfers: Transfers) -> str:
    """Of a fault that is no single layer's: any layer that moves at last; of a P2P client, through it."""
    target = incident.target
    if target is None or target.blob is not None:
        return ""
    if any(incident.taken(one.value, *EFFECTIVE) for one in OF_THE_P2P_CLIENT):
        return sign_of_recovery(world, transfers, target, incident.freed_wall_ns)
    moving = (one for one in transfers.of(incident.runtime) if one.samples == 0 and one.rate > 0)
    return next((f"{one.name} is being downloaded" for one in moving), "")


def _is_gone(incident: Incident, transfers: Transfers) -> bool:
    target = incident.target
    return target is not None and target.blob is not None and _file_now(incident, transfers) is None
