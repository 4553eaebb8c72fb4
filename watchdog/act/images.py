"""Images of a runtime: the questions that a repull asks, and the two requests that change something.

Law: every answer is bounded, every wait has a deadline, and each pull has a
connection of its own: the runtime ends a pull when its connection closes.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Tuple
from urllib.parse import quote, urlencode

from watchdog.act.settings import ActSettings
from watchdog.core.observation import ProcessKey
from watchdog.core.reference import Reference
from watchdog.errors import Deadline, ProcessGone, Refused, Unavailable, WatchdogError
from watchdog.host.proc import open_process

_ASK_S = 5.0
_MOST_BYTES = 1 << 20
_NOT_FOUND = 404
_CREDENTIALS_WANTED = (
    "unauthorized",
    "authentication required",
    "pull access denied",
    "no basic auth credentials",
)


@dataclass(frozen=True)
class Deadlines:
    """`silence_s`: the longest wait for the next word of a pull; `total_s`: for all of it."""

    silence_s: float
    total_s: float


def local_id(settings: ActSettings, image: str) -> Tuple[bool, Optional[str]]:
    """Whether the runtime said what a name means here, and the image's id if it means one."""
    try:
        return True, find(settings, image)
    except WatchdogError:
        return False, None


def client_name(client: Optional[ProcessKey]) -> str:
    """The comm of a client that is still there, else an empty text."""
    if client is None:
        return ""
    try:
        with open_process(client) as process:
            return process.stat().comm
    except ProcessGone:
        return ""


def find(settings: ActSettings, image: str) -> Optional[str]:
    """The id of a local image by any of its names; None when there is none.  Raises Unavailable."""
    status, answer = _ask(settings, "GET", f"/images/{quote(image, safe='/:@')}/json")
    if status == _NOT_FOUND:
        return None
    if status != http.client.OK or "Id" not in answer:
        raise Unavailable(f"the runtime does not tell about {image}: {_said(answer)}")
    return str(answer["Id"])


def tag(settings: ActSettings, image: str, reference: Reference) -> None:
    """Give a local image a name.  Raises Unavailable."""
    query = urlencode({"repo": reference.repository, "tag": reference.tag})
    status, answer = _ask(settings, "POST", f"/images/{quote(image, safe='/:@')}/tag?{query}")
    if status != http.client.CREATED:
        raise Unavailable(f"{image} cannot be named {reference}: {_said(answer)}")


def pull(
    settings: ActSettings,
    repository: str,
    digest: str,
    platform: Optional[str],
    deadlines: Deadlines,
    accepted: Callable[[], None],
) -> None:
    """Pull an image by its digest, without credentials, and wait for the end.

    `accepted` is called when the runtime has taken the order.  Raises
    Unavailable with what the runtime or the registry said, or Deadline.
    """
    query = {"fromImage": repository, "tag": digest}
    if platform:
        query["platform"] = platform
    connection = _connection(settings, deadlines.silence_s)
    try:
        connection.request("POST", f"/images/create?{urlencode(query)}")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise Unavailable(_reason(_said(_object(answer.read(_MOST_BYTES)))))
        accepted()
        _follow(answer, time.monotonic() + deadlines.total_s)
    except socket.timeout as error:
        raise Deadline(f"no word of the pull for {deadlines.silence_s:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the connection to the runtime broke: {error}") from error
    finally:
        connection.close()


def _follow(answer: http.client.HTTPResponse, limit: float) -> None:
    """Read the progress to its end; an error in it ends the pull."""
    while True:
        line = answer.readline(_MOST_BYTES)
        if not line:
            return
        error = _object(line).get("error")
        if error:
            raise Unavailable(_reason(str(error)))
        if time.monotonic() > limit:
            raise Deadline("the pull took longer than its deadline")


def _reason(said: str) -> str:
    if any(mark in said.lower() for mark in _CREDENTIALS_WANTED):
        return f"the registry wants credentials, which only the client has: pull it again by hand ({said})"
    return said


def _ask(settings: ActSettings, method: str, path: str) -> Tuple[int, Dict[str, Any]]:
    connection = _connection(settings, _ASK_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, _object(answer.read(_MOST_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the runtime does not answer {method} {path}: {error}") from error
    finally:
        connection.close()


def _connection(settings: ActSettings, timeout_s: float) -> http.client.HTTPConnection:
    if settings.socket_path is None:
        raise Refused(f"{settings.runtime.socket} is not on this host")
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(timeout_s)
    try:
        connection.sock.connect(settings.socket_path)
    except OSError as error:
        connection.close()
        raise Unavailable(f"{settings.socket_path} cannot be reached: {error}") from error
    return connection


def _object(text: bytes) -> Dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _said(answer: Dict[str, Any]) -> str:
    return str(answer.get("message") or "no reason was given")
