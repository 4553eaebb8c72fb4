"""The P2P client of this node: which one, how it answers, what it counts.

Law: a node without one costs a look at the names of its processes twice a minute.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Tuple

from watchdog.config_p2p import P2pConfig
from watchdog.core.dragonfly import Generation
from watchdog.core.observation import Api, Observation, P2pSeen, ProcessKey
from watchdog.errors import ProcessGone, WatchdogError
from watchdog.host import p2p
from watchdog.host.p2p import P2pClient
from watchdog.sense.health import Health

FIND_NS = 30 * 1_000_000_000  # it may have been installed, configured anew or replaced


class P2pSensor:
    """The node's Dragonfly client.  Not for several threads at once."""

    def __init__(self, wanted: P2pConfig) -> None:
        self._wanted = wanted
        self._health = Health("p2p")
        self._client: Optional[P2pClient] = None
        self._version: Optional[str] = None
        self._found_ns: Optional[int] = None
        self._traffic: Tuple[Optional[ProcessKey], Mapping[int, int]] = (None, {})

    def read(self, now_ns: int) -> List[Observation]:
        """One P2pSeen, while there is a client, running or only configured."""
        try:
            client = self._look(now_ns)
        except WatchdogError as error:
            return self._health.down(str(error))
        if client is None:
            return self._health.up()
        return [*self._health.up(), self._seen(client)]

    def _look(self, now_ns: int) -> Optional[P2pClient]:
        known = self._client if self._client is not None and self._client.process else None
        if known is None or self._found_ns is None or now_ns - self._found_ns >= FIND_NS:
            return self._find(now_ns)
        try:
            return p2p.look_again(known)
        except ProcessGone:
            return self._find(now_ns)

    def _find(self, now_ns: int) -> Optional[P2pClient]:
        """Look for it anew; one that does not run is looked for at each look, for it may come up."""
        if self._client is None and self._found_ns is not None and now_ns - self._found_ns < FIND_NS:
            return None
        client = p2p.find(self._wanted)
        if client is None or self._client is None or client.process != self._client.process:
            self._version = None
        self._client, self._found_ns = client, now_ns
        return client

    def _seen(self, client: P2pClient) -> P2pSeen:
        product, answers = client.product, client.api is Api.ANSWERS
        counted = p2p.metrics(client) if answers else ""
        counters = p2p.parse_counters(counted, product.metrics)
        if answers and self._version is None:
            self._version = p2p.version(client, counted) or ""
        return P2pSeen(
            generation=client.generation.value,
            address=client.address,
            config=client.config,
            api=client.api,
            process=client.process,
            managed_by=client.managed_by,
            version=self._version or None,
            piece_timeout=client.value(product.timeout),
            foreign_key=client.value(product.foreign) is not None,
            tasks_failed=counters.get(product.failed),
            came=counters.get(product.came),
            stored_bytes=self._stored(client),
            moving=self._moves(client.process),
        )

    def _stored(self, client: P2pClient) -> Optional[int]:
        is_v1 = client.generation is Generation.V1
        return p2p.stored_bytes(client.process) if is_v1 and client.process is not None else None

    def _moves(self, process: Optional[ProcessKey]) -> Optional[bool]:
        """Whether transfers went through it since the last look; None where that cannot be seen."""
        if process is None:
            return None
        known, before = self._traffic
        try:
            self._traffic = (process, p2p.traffic(process))
        except WatchdogError:
            return None
        return p2p.moves(before, self._traffic[1]) if known == process else None
