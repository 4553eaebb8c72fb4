"""Who waits for downloads: the pulls under way, and the registries that they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, Optional, Tuple

from watchdog.core.observation import Client, ProcessKey
from watchdog.core.pull import pull_clients
from watchdog.core.reference import parse_reference
from watchdog.core.world import World

DEFAULT_SLOTS = 3  # dockerd's max-concurrent-downloads
LATELY_NS = 30_000_000_000  # a push that failed has left when its error is read
_DEFAULT_PORTS = frozenset({80, 443})
_LOOPBACK_NAMES = ("localhost", "127.", "[::1]")


@dataclass(frozen=True)
class Waiting:
    """A client that waits for its pull since it was first seen.

    `layers`: digests and sizes from its manifest; None before that is known.
    """

    client: Client
    since_ns: int
    layers: Optional[FrozenSet[Tuple[str, int]]] = None


@dataclass(frozen=True)
class Demand:
    """Everybody who waits for downloads of one runtime.

    `ports`: of the registries that the images name; `loopback_ports`: of those
    that are on this machine by their own name.  `pushes`: those who push, and
    those who did until lately, as not connected.  `slots`: how many layers the
    runtime downloads at a time; `attempts`: how often it tries each, None if unknown.
    """

    waiting: Tuple[Waiting, ...] = ()
    ports: FrozenSet[int] = frozenset()
    loopback_ports: FrozenSet[int] = frozenset()
    pushes: Tuple[Waiting, ...] = ()
    slots: int = DEFAULT_SLOTS
    attempts: Optional[int] = None

    @property
    def pushing(self) -> bool:
        """Whether somebody pushes now."""
        return any(one.client.connected is not False for one in self.pushes)

    @property
    def since_ns(self) -> Optional[int]:
        """When the oldest of the pulls was first seen."""
        return min((one.since_ns for one in self.waiting), default=None)


class Arrivals:
    """When each client of a pull or push was first seen."""

    def __init__(self) -> None:
        self._since: Dict[Tuple[str, ProcessKey], int] = {}
        self._pushes: Dict[str, Dict[ProcessKey, Tuple[int, Waiting]]] = {}  # with when each was seen last

    def demand(self, world: World, runtime: str) -> Demand:
        """Who waits now; to be asked at every tick."""
        clients = [one for one in pull_clients(world, runtime) if one.connected is not False]
        there = {(runtime, one.key) for one in clients}
        others = {name: at for name, at in self._since.items() if name[0] != runtime or name in there}
        self._since = {**{name: world.now_ns for name in there}, **others}
        names = (parse_reference(one.image or "") for one in clients)
        hosts = {one.registry for one in names if one is not None}
        seen = world.runtimes.get(runtime)
        return Demand(
            waiting=tuple(
                Waiting(one, self._since[(runtime, one.key)], layers_of(world, runtime, one))
                for one in clients
            ),
            ports=frozenset(port for host in hosts for port in ports_of(host)),
            loopback_ports=frozenset(
                port for host in hosts if host.startswith(_LOOPBACK_NAMES) for port in ports_of(host)
            ),
            pushes=self._pushing(world, runtime),
            slots=(seen.download_slots if seen else None) or DEFAULT_SLOTS,
            attempts=seen.download_attempts if seen else None,
        )

    def _pushing(self, world: World, runtime: str) -> Tuple[Waiting, ...]:
        scan, known, now_ns = world.clients.get(runtime), self._pushes.get(runtime, {}), world.now_ns
        found = {
            key: (at_ns, replace(one, client=replace(one.client, connected=False)))
            for key, (at_ns, one) in known.items()
            if now_ns - at_ns <= LATELY_NS
        }
        for client in scan.clients if scan else ():
            if client.verb == "push" and client.connected is not False:
                since_ns = known[client.key][1].since_ns if client.key in known else now_ns
                found[client.key] = (now_ns, Waiting(client, since_ns))
        self._pushes[runtime] = found
        return tuple(one for _, one in found.values())


def registry_of(client: Client) -> str:
    """The registry that a client's image names, as "HOST" or "HOST:PORT"; "" where it names none."""
    name = parse_reference(client.image or "")
    return name.registry if name is not None else ""


def ports_of(host: str) -> FrozenSet[int]:
    """The ports at which a registry is asked."""
    port = host.rpartition(":")[2]
    return frozenset({int(port)}) if port.isdecimal() and ":" in host else _DEFAULT_PORTS


def layers_of(world: World, runtime: str, client: Client) -> Optional[FrozenSet[Tuple[str, int]]]:
    """Digests and sizes of the layers that a client waits for; None before its manifest is there."""
    name = parse_reference(client.image or "")
    if name is None:
        return None
    for manifest in reversed(list(world.manifests.values())):
        named = name.repository in manifest.repositories and name.digest in (None, manifest.digest)
        if named and manifest.runtime == runtime:
            return frozenset((one.digest, one.size_bytes) for one in manifest.layers)
    return None
