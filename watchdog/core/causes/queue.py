"""A pull that waits for nothing of its own: a layer or a slot that a hung download holds.

dockerd shares a layer's download among all who want it, and lets three layers
download at a time.  So a pull may stand still while nothing is wrong with it.

Law: whose wait it is must follow from what is there.  A pull that began after
every download that is under way, and for which none has begun since, owns none
of them.  To heal the holder frees it; nothing is done to the one that waits.
"""

from __future__ import annotations

from typing import FrozenSet, List, Optional, Sequence, Tuple

from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.demand import Demand, Waiting
from watchdog.core.download import Download, Phase
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.feeding import fresh_connections
from watchdog.core.policy import Thresholds
from watchdog.core.target import Target
from watchdog.core.transfer import Transfers

_Layers = FrozenSet[Tuple[str, int]]


def blocked_pulls(
    runtime: str,
    transfers: Transfers,
    demand: Demand,
    silent: Sequence[Finding],
    limits: Thresholds,
) -> List[Finding]:
    """layer_locked and queue_blocked: every pull that waits for hung downloads.

    `silent`: the findings of `silent_downloads` for this runtime.
    """
    holders = [one for one in silent if one.samples >= limits.waiting and _file_of(one)]
    downloads = transfers.of(runtime)
    if not any(one.confirmed for one in holders) or any(not _is_held(one, holders) for one in downloads):
        return []  # something moves, or is not judged yet: the pull may be its
    if _asks_for_something(runtime, transfers, downloads):
        return []
    judged = (_blocked(runtime, one, demand, holders, downloads, limits) for one in demand.waiting)
    return [one for one in judged if one is not None]


def _is_held(one: Download, holders: Sequence[Finding]) -> bool:
    return any(_file_of(holder) == one.name for holder in holders)


def _file_of(holder: Finding) -> str:
    """The name of the download file that stands still, or ""."""
    return holder.target.blob.name if holder.target and holder.target.blob else ""


def _asks_for_something(runtime: str, transfers: Transfers, downloads: Sequence[Download]) -> bool:
    """A request is under way that is none of the holders': the pull may wait for its manifest."""
    scan = transfers.scans[runtime]
    taken = {each.inode for one in downloads for each in one.feed.fitting}
    taken |= {each.inode for one in downloads if one.phase is Phase.WAITING for each in one.waiting}
    since = max(one.began_ns for one in downloads)
    return bool(fresh_connections(scan, taken, transfers.seen_since(runtime), since))


def _blocked(
    runtime: str,
    waiting: Waiting,
    demand: Demand,
    holders: Sequence[Finding],
    downloads: Sequence[Download],
    limits: Thresholds,
) -> Optional[Finding]:
    if any(one.began_ns >= waiting.since_ns for one in downloads):
        return None  # it may be its own
    shared = _shared_with_older(waiting, demand)
    if not shared and len(downloads) < demand.slots:
        return None  # there is a slot for it: it waits for something else
    cause = Cause.LAYER_LOCKED if shared else Cause.QUEUE_BLOCKED
    names = ", ".join(_file_of(one) for one in holders)
    image = waiting.client.image or "an image"
    key = waiting.client.key
    return Finding(
        runtime=runtime,
        cause=cause,
        subject=f"{key.pid}.{key.start_ticks}/wait",
        culprit=holders[0].culprit,
        evidence=(
            Evidence(
                Kind.PROCESS_STATE,
                f"the pull of {image} (pid {key.pid}) has no download of its own{_of_whom(shared)}; "
                f"{len(holders)} of {demand.slots} slots are held by hung downloads: {names}",
            ),
            *(each for one in holders for each in one.evidence),
        ),
        samples=min(one.samples for one in downloads),
        threshold=limits.waiting,
        since_ns=waiting.since_ns,
        images=(waiting.client.image,) if waiting.client.image else (),
        target=Target(client=key, holders=tuple(one.subject for one in holders)),
        hands_off="it waits for others: to heal those frees it",
    )


def _shared_with_older(waiting: Waiting, demand: Demand) -> Tuple[str, ...]:
    """The layers that an older pull wants too."""
    older: _Layers = frozenset().union(
        *(one.layers or () for one in demand.waiting if one.since_ns < waiting.since_ns)
    )
    return tuple(sorted(digest for digest, _ in (waiting.layers or frozenset()) & older))


def _of_whom(shared: Sequence[str]) -> str:
    return f" and shares {len(shared)} layer(s) with an older pull" if shared else ""
