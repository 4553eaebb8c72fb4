"""Whether another machine serves what a registry does: asked before the registry's name leads there.

Law: questions only, each with a deadline, and without credentials: we hold none.
The connection goes to the address and speaks of the registry's name, as it will
when the name leads there; so its certificate must be for that name.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import quote, urlencode, urlsplit

from watchdog.core.reference import Reference
from watchdog.errors import Unavailable
from watchdog.host.registry import ACCEPT
from watchdog.host.trust import context_for

DEADLINE_S = 5.0
_MOST_BYTES = 1 << 20
_OK, _PARTIAL, _UNAUTHORIZED = 200, 206, 401
_REDIRECTS = (301, 302, 307, 308)
_Headers = Mapping[str, str]


@dataclass(frozen=True)
class Alternative:
    """Where the registry `host` may be asked as well; `plain`: without TLS."""

    host: str
    address: str
    port: int
    plain: bool = False


def check(one: Alternative, image: Reference) -> str:
    """What it has shown, a sentence.  Raises Unavailable with what it does not do.

    It must answer as a registry, have that image, and serve a part of a layer.
    """
    status, headers, _ = _ask(one, "/v2/")
    if status != _OK and not (status == _UNAUTHORIZED and "www-authenticate" in headers):
        raise Unavailable(f"{one.address} answers {status} to GET /v2/: that is no registry")
    login = _login(one, headers, image) if status == _UNAUTHORIZED else {}
    layer = _layer(one, image, login)
    status, headers, _ = _ask(one, layer, {**login, "Range": "bytes=0-0"})
    if status in _REDIRECTS:
        status = _at_storage(headers.get("location", ""))
    if status != _PARTIAL:
        raise Unavailable(f"{one.address} answers {status} where one byte of a layer is asked for: no ranges")
    return f"{one.address} serves {image.repository}, and ranges of its layers"


def _layer(one: Alternative, image: Reference, login: _Headers) -> str:
    """The path of a layer of the image."""
    manifest = _manifest(one, image, image.digest or image.tag or "latest", login)
    if "manifests" in manifest:
        manifest = _manifest(one, image, str(manifest["manifests"][0]["digest"]), login)
    digests = [str(layer["digest"]) for layer in manifest.get("layers", [])]
    if not digests:
        raise Unavailable(f"{one.address}: the manifest of {image} names no layer")
    return f"/v2/{image.path}/blobs/{digests[0]}"


def _manifest(one: Alternative, image: Reference, reference: str, login: _Headers) -> Dict[str, Any]:
    status, _, body = _ask(one, f"/v2/{image.path}/manifests/{quote(reference)}", login)
    if status == _UNAUTHORIZED:
        raise Unavailable(f"{one.address} wants a login for {image.repository}, and we hold none")
    if status != _OK:
        raise Unavailable(f"{one.address} answers {status} for {image}: it does not have it")
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError) as error:
        raise Unavailable(f"{one.address} answers no manifest for {image}: {error}") from error


def _login(one: Alternative, headers: _Headers, image: Reference) -> Dict[str, str]:
    """The header that strangers get by asking; none where strangers get none."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', headers["www-authenticate"]))
    realm = urlsplit(said.get("realm", ""))
    if realm.scheme not in ("http", "https") or not realm.hostname:
        return {}
    query = urlencode({"service": said.get("service", ""), "scope": f"repository:{image.path}:pull"})
    status, _, body = _ask(_peer(one, realm.scheme, realm.hostname, realm.port), f"{realm.path}?{query}")
    try:
        token = json.loads(body) if status == _OK else {}
        value = token.get("token") or token.get("access_token")
    except (ValueError, AttributeError):
        return {}
    return {"Authorization": f"Bearer {value}"} if value else {}


def _peer(one: Alternative, scheme: str, host: str, port: Optional[int]) -> Alternative:
    """Whom a URL means: the alternative itself where it names the registry."""
    plain = scheme == "http"
    address = one.address if host == one.host else host
    return Alternative(host, address, port or (80 if plain else 443), plain)


def _at_storage(location: str) -> int:
    """The status of the same question where a registry sends its clients for layers."""
    parts = urlsplit(location)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unavailable(f"it sends for its layers to {location[:80]!r}, which is no address")
    plain = parts.scheme == "http"
    there = Alternative(parts.hostname, parts.hostname, parts.port or (80 if plain else 443), plain)
    return _ask(there, f"{parts.path}?{parts.query}", {"Range": "bytes=0-0"})[0]


# --- one question --------------------------------------------------------------------------


def _ask(one: Alternative, path: str, headers: Optional[_Headers] = None) -> Tuple[int, _Headers, bytes]:
    """Status, headers (names in lower case) and body, cut."""
    connection = http.client.HTTPConnection(one.host, one.port, timeout=DEADLINE_S)
    try:
        with closing(connection):
            connection.sock = _connected(one)
            connection.request("GET", path, headers={"Accept": ACCEPT, **(headers or {})})
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"{one.address}:{one.port} does not answer: {error}") from error
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def _connected(one: Alternative) -> socket.socket:
    plain = socket.create_connection((one.address, one.port), DEADLINE_S)
    if one.plain:
        return plain
    try:
        context = context_for(one.host, f"{one.host}:{one.port}")
        return context.wrap_socket(plain, server_hostname=one.host)
    except BaseException:
        plain.close()
        raise
