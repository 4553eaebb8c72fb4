"""Which images are being pulled, as the runtime's content store has it, with their layers.

Law: this reads the disk that a pull may hang on.  It belongs on a thread of
its own, which may stall.
"""

from __future__ import annotations

import os
import time
from typing import Dict, List, Optional, Tuple

from watchdog.core.observation import ManifestSeen, Observation, ProcessKey
from watchdog.errors import Unavailable
from watchdog.host import content_store
from watchdog.host.content_store import Download
from watchdog.sense.health import Health

_SECOND_NS = 1_000_000_000
_Pull = Tuple[str, str, Tuple[str, ...]]


class ManifestSensor:
    """The pulls that one runtime handles.

    `follow` may be called from any thread, everything else from one only.
    """

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._health = Health(f"manifests.{runtime}")
        self._target: Tuple[Optional[ProcessKey], Optional[str]] = (None, None)
        self._told: Dict[_Pull, None] = {}

    def follow(self, daemon: Optional[ProcessKey], data_root: Optional[str]) -> None:
        """This process is the runtime from now on; None: there is none."""
        self._target = (daemon, data_root)

    def read(self, now_ns: int) -> List[Observation]:
        """A manifest for each pull that has begun since the last look, the newest last."""
        daemon, data_root = self._target
        if daemon is None or data_root is None:
            return []
        try:
            downloads = _downloads(data_root, since_wall_ns=_started_wall_ns(daemon))
        except Unavailable as error:
            return self._health.down(str(error))
        known, self._told = self._told, {}
        observations = self._health.up()
        for one in downloads:
            pull = (one.lease, one.digest, one.repositories)
            self._told[pull] = None
            if pull not in known:
                observations.append(ManifestSeen(self._runtime, one.digest, one.repositories, one.layers))
        return observations


def _downloads(data_root: str, since_wall_ns: int) -> List[Download]:
    """The pulls of this daemon, from whichever store it uses.

    What an earlier daemon was killed over stays in the store for a day.
    """
    found: List[Download] = []
    errors: List[Unavailable] = []
    stores = content_store.stores(data_root)
    for store in stores:
        try:
            found += [one for one in content_store.downloads(store) if one.started_wall_ns >= since_wall_ns]
        except Unavailable as error:
            errors.append(error)
    if len(errors) == len(stores):
        raise errors[0]
    return sorted(found, key=lambda one: one.started_wall_ns)


def _started_wall_ns(process: ProcessKey) -> int:
    """When a process started, on the wall clock of now; a second early, to be on the safe side."""
    running_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - process.start_ticks * _SECOND_NS // os.sysconf(
        "SC_CLK_TCK"
    )
    return time.time_ns() - running_ns - _SECOND_NS
