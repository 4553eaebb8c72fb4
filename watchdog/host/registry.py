"""Questions to a registry or a mirror, asked as the runtime would ask them.

Law: questions only, each with a deadline for all of it, and no login: "who are
you?" (401) is an answer.  The runtime's own proxy and certificate variables hold,
for what it cannot reach we must not call reachable.

Imported only where something is asked: TLS and HTTP clients are heavy.
"""

from __future__ import annotations

import json
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address, ip_network
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from watchdog.core.reference import Reference
from watchdog.errors import Deadline
from watchdog.host.deadline import within
from watchdog.host.trust import context_for

DOCKER_IO = "https://registry-1.docker.io"
_MANIFESTS = "application/vnd.{}+json"
ACCEPT = ", ".join(
    _MANIFESTS.format(name)
    for name in (
        "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
        "oci.image.manifest.v1",
        "oci.image.index.v1",
    )
)
_MOST_BYTES = 1 << 20
_ERRORS = 500  # from this status on it is the server's own failure


@dataclass(frozen=True)
class Answer:
    """`reason`: "" when it serves, else 5xx, refused, tls, hangs or dns.  `detail`: a sentence."""

    reason: str
    detail: str

    @property
    def serves(self) -> bool:
        return not self.reason


class _Failed(Exception):
    """It answered, and badly."""


def ask(
    url: str, environment: Mapping[str, str], deadline_s: float, image: Optional[Reference] = None
) -> Answer:
    """Whether a registry serves: its API, and where an image is named that image, up to a layer's first byte.

    A registry that says that it does not have the image, or does not give it to
    strangers, serves: the runtime passes it over at once.
    """
    base = url.rstrip("/")
    try:
        return within(deadline_s, base, lambda: _ask(_Registry(base, environment, deadline_s), image))
    except Deadline:
        return Answer("hangs", f"{base} has not answered within {deadline_s:g} s")


def _ask(registry: _Registry, image: Optional[Reference]) -> Answer:
    try:
        if image is None:
            registry.get("/v2/")
        else:
            registry.fetch(image)
    except urllib.error.HTTPError as error:
        return Answer("", f"{registry.base} answers {error.code}")
    except _Failed as error:
        return Answer("5xx", str(error))
    except (OSError, HTTPException) as error:
        return _no_answer(registry.base, error)
    return Answer("", f"{registry.base} answers")


def _no_answer(base: str, error: Exception) -> Answer:
    why = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(why, socket.timeout):
        return Answer("hangs", f"{base} does not answer in time")
    if isinstance(why, ssl.SSLError) or "SSL" in str(why):
        return Answer("tls", f"{base}: no TLS connection: {why}")
    if isinstance(why, socket.gaierror):
        return Answer("dns", f"{base}: its name cannot be resolved: {why.strerror}")
    return Answer("refused", f"{base} cannot be reached: {why}")


class _Registry:
    """One registry's HTTP API; errors as urllib raises them."""

    def __init__(self, base: str, environment: Mapping[str, str], deadline_s: float) -> None:
        self.base = base
        self._deadline_s = deadline_s
        host = urlsplit(base).hostname or ""
        handlers = (
            urllib.request.ProxyHandler(_proxies(host, environment)),
            urllib.request.HTTPSHandler(context=_tls(base, host, environment)),
        )
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, most_bytes: int = _MOST_BYTES) -> bytes:
        """The body of an answer, cut."""
        request = urllib.request.Request(self.base + path, headers={"Accept": ACCEPT})
        try:
            answer: HTTPResponse
            with self._opener.open(request, timeout=self._deadline_s) as answer:
                return answer.read(most_bytes)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code >= _ERRORS:
                raise _Failed(f"{self.base} answered {error.code} to GET {path}") from error
            raise

    def fetch(self, image: Reference) -> None:
        """Its manifest, and the first byte of its smallest layer: some mirrors fetch it whole before that."""
        manifest = self._manifest(image.path, image.digest or image.tag or "latest")
        if "manifests" in manifest:
            manifest = self._manifest(image.path, manifest["manifests"][0]["digest"])
        for layer in sorted(manifest.get("layers", []), key=lambda one: int(one.get("size", 0)))[:1]:
            self.get(f"/v2/{image.path}/blobs/{layer['digest']}", most_bytes=1)

    def _manifest(self, path: str, reference: str) -> Dict[str, Any]:
        try:
            value = json.loads(self.get(f"/v2/{path}/manifests/{reference}"))
            return dict(value)
        except (ValueError, TypeError) as error:
            raise _Failed(f"{self.base} answers with something that is no manifest: {error}") from error


def _proxies(host: str, environment: Mapping[str, str]) -> Dict[str, str]:
    """The proxies for that host as Go's clients choose them: never for this machine itself."""
    values = {name.lower(): value for name, value in environment.items()}
    if _goes_direct(host, values.get("no_proxy", "")):
        return {}
    return {
        scheme: values[f"{scheme}_proxy"] for scheme in ("http", "https") if values.get(f"{scheme}_proxy")
    }


def _goes_direct(host: str, no_proxy: str) -> bool:
    if host == "localhost" or _is_in(host, "127.0.0.0/8") or host == "::1":
        return True
    entries = [one.strip().partition(":")[0].lstrip("*") for one in no_proxy.split(",") if one.strip()]
    return any(
        one in ("", host) or host.endswith(f".{one.lstrip('.')}") or _is_in(host, one) for one in entries
    )


def _is_in(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _tls(base: str, host: str, environment: Mapping[str, str]) -> ssl.SSLContext:
    """Certificates are checked against what the runtime trusts; those of loopback addresses are not."""
    context = context_for(urlsplit(base).netloc, cafile=environment.get("SSL_CERT_FILE"))
    if _is_in(host, "127.0.0.0/8") or host == "localhost":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def addresses(url: str, deadline_s: float) -> Tuple[str, ...]:
    """Where a URL leads: "10.0.0.9:443" or "[2001:db8::9]:443"; none where its name cannot be resolved."""
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    host = parts.hostname or ""
    try:
        found = within(
            deadline_s, f"the name {host}", lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, Deadline):
        return ()
    hosts = sorted({str(one[4][0]) for one in found})
    return tuple(f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in hosts)
