"""Harbor's own word about its health: one question, GET only, without a login.

Source: GET /api/v2.0/health (1.x: /api/health) answers 200 always, with
{"status": "healthy", "components": [{"name": "core", "status": "healthy"}, ...]};
an unhealthy one has an "error".  It is refreshed every 10 s.
GET /api/v2.0/systeminfo tells "harbor_version" where it is not kept for users.

Law: one deadline covers all, an answer is bounded, no redirect is followed, and the
certificate is checked against what docker trusts for that host.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager
from typing import Any, Dict, Iterator, List, Tuple
from urllib.parse import urlsplit

from watchdog.core.observation import HarborSeen
from watchdog.core.redaction import redact
from watchdog.errors import Unavailable
from watchdog.host.trust import context_for

DEADLINE_S = 5.0
_MOST_BYTES = 64 * 1024
_MOST_COMPONENTS = 32
_MOST_CHARS = 200
_APIS = ("/api/v2.0", "/api")


def look(url: str, deadline_s: float = DEADLINE_S) -> HarborSeen:
    """The health of the Harbor at `url` ("https://HOST[:PORT]").  Raises Unavailable without an answer."""
    ends_at = time.monotonic() + deadline_s
    status, body = 0, b""
    for api in _APIS:
        status, body = _get(url, f"{api}/health", ends_at)
        told = _object(body) if status == http.client.OK else {}
        if isinstance(told.get("components"), list):
            return HarborSeen(url, status, unhealthy(told["components"]), _version(url, api, ends_at))
        if status != http.client.NOT_FOUND:
            break
    if status == http.client.OK:
        raise Unavailable(f"{url} is no Harbor: its health is {body[:60]!r}")
    return HarborSeen(url, status)


def unhealthy(components: List[Any]) -> Tuple[str, ...]:
    """ "NAME: ERROR" of each component that is not healthy, as Harbor words it."""
    sick = []
    for one in components[:_MOST_COMPONENTS]:
        if isinstance(one, dict) and one.get("status") != "healthy":
            sick.append(redact(f"{one.get('name')}: {one.get('error') or one.get('status')}")[:_MOST_CHARS])
    return tuple(sick)


def _version(url: str, api: str, ends_at: float) -> str:
    """ "1" where only the old API answers; "" for some 2.x."""
    try:
        status, body = _get(url, f"{api}/systeminfo", ends_at)
    except Unavailable:
        status, body = 0, b""
    told = _object(body).get("harbor_version") if status == http.client.OK else None
    if isinstance(told, str):
        return told.lstrip("v")[:40]
    return "1" if api == _APIS[-1] else ""


def _get(url: str, path: str, ends_at: float) -> Tuple[int, bytes]:
    parts = urlsplit(url)
    left_s = ends_at - time.monotonic()
    if left_s <= 0:
        raise Unavailable(f"{url} did not answer in time")
    try:
        with closing(_connection(parts.scheme, parts.netloc, left_s)) as connection:
            connection.connect()
            with _ended_after(left_s, connection.sock):
                connection.request("GET", path, headers={"Connection": "close", "Accept": "application/json"})
                response = connection.getresponse()
                return response.status, response.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{url} cannot be asked: {error or type(error).__name__}") from error


@contextmanager
def _ended_after(seconds: float, connection: socket.socket) -> Iterator[None]:
    """A peer that sends a byte a second outlasts the time-out of a socket, but not its end."""
    timer = threading.Timer(seconds, connection.shutdown, (socket.SHUT_RDWR,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _connection(scheme: str, host: str, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, timeout=timeout_s)
    return http.client.HTTPSConnection(host, timeout=timeout_s, context=context_for(host))


def _object(body: bytes) -> Dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
