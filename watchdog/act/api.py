"""Requests to the runtime's API over its UNIX socket, those that change something included.

Law: every answer is bounded and every wait has a deadline.  host/docker asks
the questions of the sensors and can send nothing but GET.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Tuple

from watchdog.act.settings import ActSettings
from watchdog.errors import Refused, Unavailable

MOST_BYTES = 1 << 20
OK = 200
CREATED = 201
NOT_FOUND = 404
_ASK_S = 5.0


def ask(settings: ActSettings, method: str, path: str) -> Tuple[int, Any]:
    """Status and JSON value of one answer; an empty object where it is no JSON.  Raises Unavailable."""
    channel = connection(settings, _ASK_S)
    try:
        channel.request(method, path)
        answer = channel.getresponse()
        return answer.status, parse(answer.read(MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the runtime does not answer {method} {path}: {error}") from error
    finally:
        channel.close()


def connection(settings: ActSettings, timeout_s: float) -> http.client.HTTPConnection:
    """A connection to the runtime; `timeout_s` is for each wait on it.  Raises Unavailable."""
    if settings.socket_path is None:
        raise Refused(f"{settings.runtime.socket} is not on this host")
    channel = http.client.HTTPConnection("localhost")
    channel.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.sock.settimeout(timeout_s)
    try:
        channel.sock.connect(settings.socket_path)
    except OSError as error:
        channel.close()
        raise Unavailable(f"{settings.socket_path} cannot be reached: {error}") from error
    return channel


def parse(text: bytes) -> Any:
    """The JSON value of a text; an empty object for what is none."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def field(answer: Any, name: str) -> Any:
    """A field of an answer, or None where the answer is no object or has no such field."""
    return answer.get(name) if isinstance(answer, dict) else None


def message(answer: Any) -> str:
    """What the runtime gives as its reason."""
    return str(field(answer, "message") or "no reason was given")
