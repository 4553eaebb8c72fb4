"""Which images are being pulled, as the runtime's content store has it, with their layers.

Law: this reads the disk that a pull may hang on.  It belongs on a thread of
its own, which may stall.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from watchdog.core.observation import ManifestSeen, Observation, ProcessKey
from watchdog.errors import Unavailable
from watchdog.host import birth, content_store
from watchdog.sense.health import Health

_DATED_WITHIN_NS = 1_000_000_000  # a lease's own date
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
            since_wall_ns = birth.started_wall_ns(daemon) - _DATED_WITHIN_NS
            downloads = content_store.under_way(data_root, since_wall_ns)
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
