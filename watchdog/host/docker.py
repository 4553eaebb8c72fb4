"""Questions to a runtime's API over its UNIX socket.

Law: questions only.  This client can send GET and nothing else.  One deadline
covers a whole answer, so a peer that sends a byte a second does not hold us,
and an answer is bounded in size.

Paths are unversioned: every dockerd answers them in its own version.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type
from urllib.parse import quote, urlencode

from watchdog.core.observation import Api
from watchdog.errors import WatchdogError

_MOST_BYTES = 8 << 20
_PIECE_BYTES = 65536


class ApiError(WatchdogError):
    """The API gave no usable answer; `state` is how it took the question."""

    def __init__(self, state: Api, message: str) -> None:
        super().__init__(message)
        self.state = state


class NotFoundError(ApiError):
    """It answered that there is no such thing."""


@dataclass(frozen=True)
class Ping:
    """`server` is the Server header, e.g. "Docker/20.10.24 (linux)" or "Libpod/4.3.1 (linux)"."""

    server: str


class DockerApi:
    """One runtime's API.  Every method raises ApiError."""

    def __init__(self, path: str, deadline_s: float = 2.0) -> None:
        self._path = path
        self._deadline_s = deadline_s

    def ping(self) -> Ping:
        """Whether it answers at all."""
        headers, _ = self._get("/_ping")
        return Ping(headers.get("server", ""))

    def info(self) -> Dict[str, Any]:
        """GET /info: data root, storage driver, live-restore, containers, swarm."""
        return self._object("/info")

    def version(self) -> Dict[str, Any]:
        """GET /version: the components by name."""
        return self._object("/version")

    def container(self, name: str) -> Dict[str, Any]:
        """GET /containers/NAME/json; NotFoundError where there is none."""
        return self._object(f"/containers/{quote(name, safe='')}/json")

    def has_image(self, reference: str) -> bool:
        """Whether the store has that image, complete."""
        try:
            self._get(f"/images/{quote(reference, safe='/:@')}/json")
        except NotFoundError:
            return False
        return True

    def peer_pid(self) -> int:
        """The pid that called listen(2): the runtime, or systemd for a socket that it activates.

        0 where that process is in a pid namespace that we cannot see into.
        The question is the kernel's: a stopped runtime is named as well.
        """
        with self._connected() as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("iII", credentials)[0])

    def past_events(
        self, since_s: float, until_s: float, filters: Mapping[str, List[str]]
    ) -> List[Dict[str, Any]]:
        """Events between two times in seconds since the epoch, of the last 256 that dockerd remembers."""
        times = {"since": f"{since_s:.9f}", "until": f"{until_s:.9f}"}
        _, body = self._get(f"/events?{urlencode({**times, 'filters': json.dumps(filters)})}")
        return [event for event in map(_event, body.splitlines()) if event is not None]

    def events(self, filters: Mapping[str, List[str]]) -> EventStream:
        """Follow GET /events, e.g. with {"type": ["image"]}.  Closing it is up to the caller."""
        query = urlencode({"filters": json.dumps(filters)})
        connection = self._connected()
        try:
            with _Translated(self._path):
                # HTTP/1.0, because then the answer comes without chunks and ends with the connection.
                connection.sendall(f"GET /events?{query} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        except BaseException:
            connection.close()
            raise
        return EventStream(self._path, connection)

    def _object(self, path: str) -> Dict[str, Any]:
        _, body = self._get(path)
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ApiError(Api.ANSWERS, f"{self._path}: GET {path} answered no JSON object: {body[:80]!r}")
        return value

    def _get(self, path: str) -> Tuple[Mapping[str, str], bytes]:
        """Headers (names in lower case) and body of an answer with status 200."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = self._connected()
        try:
            with _Translated(self._path):
                connection.request("GET", path, headers={"Connection": "close"})
                response = connection.getresponse()
                body = response.read(_MOST_BYTES)
        finally:
            connection.close()
        if response.status != http.client.OK:
            kind = NotFoundError if response.status == http.client.NOT_FOUND else ApiError
            raise kind(Api.ANSWERS, f"{self._path}: GET {path} answered {response.status}: {body[:200]!r}")
        return {name.lower(): value for name, value in response.getheaders()}, body

    def _connected(self) -> _TimedSocket:
        connection = _TimedSocket(self._deadline_s)
        try:
            with _Translated(self._path):
                connection.connect(self._path)
        except BaseException:
            connection.close()
            raise
        return connection


class EventStream:
    """Events as they come.  `fileno` is readable when `read` has something to say."""

    def __init__(self, path: str, connection: socket.socket) -> None:
        self._path = path
        self._connection = connection
        self._connection.setblocking(False)
        self._head: Optional[bytes] = b""  # None once the answer's head is behind us
        self._rest = b""

    def fileno(self) -> int:
        return self._connection.fileno()

    def read(self) -> List[Dict[str, Any]]:
        """The events that are there now.  Raises ApiError when the stream has ended."""
        try:
            piece = self._connection.recv(_PIECE_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise ApiError(Api.REFUSED, f"{self._path}: the event stream broke: {error.strerror}") from error
        if not piece:
            raise ApiError(Api.REFUSED, f"{self._path}: the runtime closed the event stream")
        *lines, self._rest = self._body(self._rest + piece).split(b"\n")
        if len(self._rest) > _MOST_BYTES:
            raise ApiError(Api.ANSWERS, f"{self._path}: an event of more than {_MOST_BYTES} bytes")
        return [event for event in map(_event, lines) if event is not None]

    def close(self) -> None:
        self._connection.close()

    def _body(self, text: bytes) -> bytes:
        """The text behind the answer's head."""
        if self._head is None:
            return text
        self._head += text
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return b""
        self._head = None
        if head.split(None, 2)[1:2] != [b"200"]:
            raise ApiError(Api.ANSWERS, f"{self._path}: GET /events answered {head.splitlines()[0]!r}")
        return body


class _TimedSocket(socket.socket):
    """A UNIX socket whose deadline is for all calls together, not for each."""

    def __init__(self, deadline_s: float) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ends_at = time.monotonic() + deadline_s

    def connect(self, address: Any) -> None:
        self._arm()
        super().connect(address)

    def sendall(self, *arguments: Any) -> None:
        self._arm()
        super().sendall(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        self._arm()
        return super().recv_into(*arguments)

    def _arm(self) -> None:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise socket.timeout("timed out")
        self.settimeout(left_s)


class _Translated:
    """Turns what can go wrong on a socket into the API's state."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if isinstance(error, (OSError, http.client.HTTPException)):
            state, words = _state(error)
            raise ApiError(state, f"{self._path}: {words}") from error


# In this order: the first that fits.
_STATES: Tuple[Tuple[Tuple[Type[Exception], ...], Api, str], ...] = (
    ((FileNotFoundError, NotADirectoryError), Api.ABSENT, "there is no such socket"),
    ((PermissionError,), Api.FORBIDDEN, "permission denied"),
    ((socket.timeout,), Api.SILENT, "connected, but no answer within the deadline"),
    ((BlockingIOError,), Api.SILENT, "its queue of waiting connections is full"),
    ((ConnectionRefusedError,), Api.REFUSED, "nobody listens"),
    ((ConnectionError,), Api.REFUSED, "the connection was closed without an answer"),
)


def _state(error: Exception) -> Tuple[Api, str]:
    for kinds, state, words in _STATES:
        if isinstance(error, kinds):
            return state, words
    return Api.REFUSED, f"no HTTP answer ({type(error).__name__}: {error})"


def _event(line: bytes) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
