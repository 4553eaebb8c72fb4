"""Everything that is wrong on the way of the bytes: all families of network causes.

Law: one function a family, asked once a tick; none knows of another but by the
findings that it is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Mapping, Optional

from watchdog.core.advice import p2p, transfer
from watchdog.core.advice.record import Advice
from watchdog.core.causes.attempts import failing_downloads
from watchdog.core.causes.daemon import silent_api
from watchdog.core.causes.download import silent_downloads
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.causes.harbor import with_health
from watchdog.core.causes.logged import logged
from watchdog.core.causes.mirror import failing_mirrors
from watchdog.core.causes.p2p import failing_p2p, is_explained, waits_for_p2p
from watchdog.core.causes.push import failing_pushes
from watchdog.core.causes.queue import blocked_pulls
from watchdog.core.causes.registry import registry_errors
from watchdog.core.demand import Demand
from watchdog.core.estimating import estimate_of
from watchdog.core.limits import GIB, LimitKind
from watchdog.core.observation import ProcessSample
from watchdog.core.transfer import Transfers
from watchdog.core.world import World


def find_network(runtime: str, world: World, transfers: Transfers, demand: Demand) -> List[Finding]:
    """All that is wrong with the transfers of a runtime, as the newest looks show it."""
    limits = world.policy.thresholds
    found: List[Finding] = []
    if transfers.fresh(runtime, world.now_ns):
        waiting = silent_downloads(runtime, transfers, demand, limits)
        silent = [one for one in waiting if not waits_for_p2p(one, world)]
        found += silent
        found += blocked_pulls(runtime, transfers, demand, silent, limits)
        found += failing_downloads(runtime, transfers, limits)
    mirrors = failing_mirrors(runtime, world, transfers, demand, limits)
    of_p2p = failing_p2p(runtime, world, transfers)
    found += of_p2p
    found += [one for one in mirrors if not (waits_for_p2p(one, world) or is_explained(one, of_p2p))]
    found += silent_api(runtime, world, limits)
    found += failing_pushes(runtime, world, transfers, demand, limits)
    found += registry_errors(runtime, world, transfers, demand, limits)
    found += logged(runtime, world)
    far = estimate_of(world, transfers, runtime)
    daemon = world.daemons.get(runtime)
    found = [with_health(one, world) for one in found]
    return [replace(_advised(_of_runtime(one, daemon)), estimate=far) for one in found]


_ADVICE: Mapping[Cause, Advice] = {
    Cause.DOWNLOAD_STALLED: transfer.DOWNLOAD_STALLED,
    Cause.TIME_LIMIT: transfer.TIME_LIMIT,
    Cause.SIZE_LIMIT: transfer.EQUAL_SIZES,
    Cause.RESET_LOOP: transfer.RESET_LOOP,
    Cause.RANGE_UNSUPPORTED: transfer.RANGE_UNSUPPORTED,
    Cause.MIRROR_FAILING: p2p.MIRROR_FAILING,
}


def _advised(finding: Finding) -> Finding:
    """The finding with what to tell whom, as `explain` tells it."""
    advice = _ADVICE.get(finding.cause)
    if advice is None or finding.advice:
        return finding
    limit = finding.target.limit if finding.target else None
    if limit is not None and limit.kind is LimitKind.SIZE and limit.value == GIB:
        advice = transfer.SIZE_LIMIT
    facts = (
        {"evidence": limit.evidence, "device": limit.device, "parameter": limit.parameter} if limit else {}
    )
    return replace(finding, advice=advice.sentences(facts))


def _of_runtime(finding: Finding, daemon: Optional[ProcessSample]) -> Finding:
    """The finding with the runtime's process as it was seen last, which a remedy identifies it by."""
    if daemon is None or daemon.key != finding.culprit.key:
        return finding
    return replace(finding, culprit=daemon)
