"""Images of a runtime: the questions that a repull asks, and the two requests that change something.

Law: every answer is bounded, every wait has a deadline, and each pull has a
connection of its own: the runtime ends a pull when its connection closes.
"""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import dataclass
from typing import Callable, FrozenSet, Optional, Tuple
from urllib.parse import quote, urlencode

from watchdog.act import api
from watchdog.act.settings import ActSettings
from watchdog.core.observation import ProcessKey
from watchdog.core.reference import Reference
from watchdog.errors import Deadline, ProcessGone, Unavailable, WatchdogError
from watchdog.host import birth, content_store
from watchdog.host.deadline import within
from watchdog.host.docker import DockerApi
from watchdog.host.proc import open_process

_STORE_S = 5.0
_LEASES_ARE_DATED_WITHIN_NS = 1_000_000_000
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


def under_way(settings: ActSettings, daemon: ProcessKey) -> FrozenSet[str]:
    """REPOSITORY@DIGEST of each pull that the runtime handles now; none where its store cannot be seen.

    @DIGEST alone where the store does not say which repository it is of.

    The store is root's alone, so this holds whoever has written the incident.
    """
    since_wall_ns = birth.started_wall_ns(daemon) - _LEASES_ARE_DATED_WITHIN_NS
    try:
        root = str(DockerApi(settings.socket_path or "", _STORE_S).info().get("DockerRootDir"))
        found = within(_STORE_S, root, lambda: content_store.under_way(root, since_wall_ns))
    except WatchdogError:
        return frozenset()
    places = ((repository, one.digest) for one in found for repository in one.repositories or ("",))
    return frozenset(f"{repository}@{digest}" for repository, digest in places)


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
    status, answer = api.ask(settings, "GET", f"/images/{quote(image, safe='/:@')}/json")
    if status == api.NOT_FOUND:
        return None
    identity = api.field(answer, "Id")
    if status != api.OK or identity is None:
        raise Unavailable(f"the runtime does not tell about {image}: {api.message(answer)}")
    return str(identity)


def tag(settings: ActSettings, image: str, reference: Reference) -> None:
    """Give a local image a name.  Raises Unavailable."""
    query = urlencode({"repo": reference.repository, "tag": reference.tag})
    status, answer = api.ask(settings, "POST", f"/images/{quote(image, safe='/:@')}/tag?{query}")
    if status != api.CREATED:
        raise Unavailable(f"{image} cannot be named {reference}: {api.message(answer)}")


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
    connection = api.connection(settings, deadlines.silence_s)
    try:
        connection.request("POST", f"/images/create?{urlencode(query)}")
        answer = connection.getresponse()
        if answer.status != api.OK:
            raise Unavailable(_reason(api.message(api.parse(answer.read(api.MOST_BYTES)))))
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
        line = answer.readline(api.MOST_BYTES)
        if not line:
            return
        error = api.field(api.parse(line), "error")
        if error:
            raise Unavailable(_reason(str(error)))
        if time.monotonic() > limit:
            raise Deadline("the pull took longer than its deadline")


def _reason(said: str) -> str:
    if any(mark in said.lower() for mark in _CREDENTIALS_WANTED):
        return f"the registry wants credentials, which only the client has: pull it again by hand ({said})"
    return said
