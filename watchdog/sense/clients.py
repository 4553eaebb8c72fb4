"""Who asks the runtime for what: `docker pull` processes and users of the API.

Law: a client is whoever is connected to this runtime's socket, whatever it is
called.  Its arguments are read once.  A client whose connection is down is
still told, as such, until its process ends.

Clients over TCP are not seen; the content store names their pulls (manifests).
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from watchdog.core.observation import Client, ClientScan, Observation, ProcessKey
from watchdog.errors import ProcessGone, WatchdogError
from watchdog.host import birth, proc
from watchdog.host.docker import ApiError, DockerApi
from watchdog.host.proc import PROC
from watchdog.host.unix_sockets import Connections
from watchdog.sense.docker_argv import Asked, parse
from watchdog.sense.health import Health
from watchdog.sense.sight import is_remote

_UNKNOWN = Asked("other")
_PRESENCE_NS = 5_000_000_000  # between two questions whether a run's image is there
_PRESENCE_DEADLINE_S = 0.5


class ClientSensor:
    """The clients of one runtime.

    `follow` may be called from any thread, everything else from one only.
    """

    def __init__(self, runtime: str, socket: str, root: str = PROC) -> None:
        self._runtime = runtime
        self._remote = is_remote(socket)
        path = socket[len("unix://") :]
        self._root = root
        self._health = Health(f"clients.{runtime}")
        self._connections = Connections(path, root)
        self._presence = _Presence(path)
        self._daemon: Optional[ProcessKey] = None
        self._asked: Dict[ProcessKey, Asked] = {}

    def follow(self, daemon: Optional[ProcessKey]) -> None:
        """This process is the runtime from now on; None: there is none."""
        self._daemon = daemon

    def read(self, now_ns: int) -> List[Observation]:
        """One scan; none while the runtime cannot be looked into."""
        try:
            connected = self._connected()
        except WatchdogError as error:
            return self._health.down(str(error))
        connected.pop(proc.identify(os.getpid(), self._root), None)
        for key in connected:
            if key not in self._asked:
                self._asked[key] = self._ask(key)
        self._asked = {key: asked for key, asked in self._asked.items() if proc.is_alive(key, self._root)}
        clients = tuple(
            self._client(key, asked, connected.get(key, False), now_ns)
            for key, asked in sorted(self._asked.items())
        )
        return [*self._health.up(), ClientScan(self._runtime, clients)]

    def _connected(self) -> Dict[ProcessKey, bool]:
        if self._daemon is None or self._remote:
            return {}
        try:
            with proc.open_process(self._daemon, self._root) as daemon:
                return self._connections.clients(daemon)
        except ProcessGone:
            return {}

    def _ask(self, key: ProcessKey) -> Asked:
        try:
            return parse(birth.arguments(key, self._root)) or _UNKNOWN
        except WatchdogError:
            return _UNKNOWN

    def _client(self, key: ProcessKey, asked: Asked, connected: bool, now_ns: int) -> Client:
        verb = asked.verb
        if verb == "run":
            verb = "pull" if asked.image and self._presence.is_missing(asked.image, now_ns) else "other"
        return Client(key, verb, asked.image, asked.platform, connected)


class _Presence:
    """Whether `docker run` is pulling: as long as its image is not there."""

    def __init__(self, path: str) -> None:
        self._api = DockerApi(path, _PRESENCE_DEADLINE_S)
        self._missing: Dict[str, bool] = {}
        self._asked_ns: Dict[str, int] = {}

    def is_missing(self, image: str, now_ns: int) -> bool:
        """As the runtime said last; False while it has not said."""
        if now_ns - self._asked_ns.get(image, -_PRESENCE_NS) >= _PRESENCE_NS:
            self._forget(now_ns)
            self._asked_ns[image] = now_ns
            try:
                self._missing[image] = not self._api.has_image(image)
            except ApiError:
                pass  # it will be asked again
        return self._missing.get(image, False)

    def _forget(self, now_ns: int) -> None:
        old = [image for image, asked_ns in self._asked_ns.items() if now_ns - asked_ns > 2 * _PRESENCE_NS]
        for image in old:
            del self._asked_ns[image]
            self._missing.pop(image, None)
