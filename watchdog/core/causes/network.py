"""Everything that is wrong on the way of the bytes: all families of network causes.

Law: one function a family, asked once a tick; none knows of another but by the
findings that it is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

from watchdog.core.causes.attempts import failing_downloads
from watchdog.core.causes.download import silent_downloads
from watchdog.core.causes.finding import Finding
from watchdog.core.causes.queue import blocked_pulls
from watchdog.core.demand import Demand
from watchdog.core.observation import ProcessSample
from watchdog.core.transfer import Transfers
from watchdog.core.world import World


def find_network(runtime: str, world: World, transfers: Transfers, demand: Demand) -> List[Finding]:
    """All that is wrong with the transfers of a runtime, as the newest looks show it."""
    limits = world.policy.thresholds
    found: List[Finding] = []
    if transfers.fresh(runtime, world.now_ns):
        silent = silent_downloads(runtime, transfers, demand, limits)
        found += silent
        found += blocked_pulls(runtime, transfers, demand, silent, limits)
        found += failing_downloads(runtime, transfers, limits)
    return [_of_runtime(one, world.daemons.get(runtime)) for one in found]


def _of_runtime(finding: Finding, daemon: Optional[ProcessSample]) -> Finding:
    """The finding with the runtime's process as it was seen last, which a remedy identifies it by."""
    if daemon is None or daemon.key != finding.culprit.key:
        return finding
    return replace(finding, culprit=daemon)
