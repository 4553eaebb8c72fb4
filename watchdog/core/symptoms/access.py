"""Access logs: nginx, ingress, Harbor's and the registry's combined form, Traefik, Envoy, haproxy.

The status decides, together with what was asked for: a HEAD that finds nothing
is how a push begins, and a 401 is how a login begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Tuple

from watchdog.core.policy import SECOND_NS
from watchdog.core.symptoms.answers import kind_of_status
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind


@dataclass(frozen=True)
class Access:
    """One request.  `ending`: haproxy's two letters for how a session ended, "" elsewhere."""

    method: str = ""
    target: str = ""
    status: Optional[int] = None
    size_bytes: Optional[int] = None
    duration_ns: Optional[int] = None
    ending: str = ""


_REQUEST = re.compile(
    r"\"(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT) (?P<target>\S+)[^\"]*\""
    r"\s(?P<status>\d{3})\s?(?P<size>\d{1,18}|-)?"
)
_TRAEFIK_TOOK = re.compile(r"\s(\d{1,9})ms$")
_NGINX_TOOK = re.compile(r"\" (?:\d+ )?(\d{1,6}\.\d{3})\b")
_HAPROXY = re.compile(
    r"\s(?P<timers>-?\d+(?:/[-+]?\d+){2,4})\s(?:(?P<status>-1|\d{3})\s)?(?P<size>\+?\d{1,18})\s(?:\S+\s\S+\s)?"
    r"(?P<ending>[CSPLRIDUKcs-][RQCHDLT-])[A-Z-]{0,2}\s\d+/\d+/\d+/\d+"
)
_HAPROXY_REQUEST = re.compile(r"\"(?P<method>[A-Z]{3,7}) (?P<target>\S+)[^\"]*\"?\s*$")

_ENDINGS = {  # haproxy: who ended it (lower case: by time-out), and in which phase
    "sH": (Kind.NET_TIMEOUT, "lb.read_timeout_header"),
    "sD": (Kind.NET_TIMEOUT, "lb.read_timeout_body"),
    "sC": (Kind.NET_TIMEOUT, "lb.connect_timeout"),
    "sQ": (Kind.NET_TIMEOUT, "lb.queue_timeout"),
    "cD": (Kind.NET_TIMEOUT, "lb.client_stalled_send_timeout"),
    "SC": (Kind.NET_REFUSED, "lb.upstream_refused"),
    "SH": (Kind.NET_RESET, "lb.upstream_eof_before_header"),
    "SD": (Kind.NET_RESET, "lb.upstream_eof"),
    "CD": (Kind.CANCELED, "lb.client_gone"),
    "CH": (Kind.CANCELED, "lb.client_gone"),
    "PH": (Kind.SERVER_ERROR, "lb.upstream_bad_answer"),
}
_TRAEFIK_READ_NS = 60 * SECOND_NS  # its readTimeout counts from the start of an upload
_LONG_WAIT_NS = 10 * SECOND_NS  # a client that leaves a token request after this long gave up


def read_access(text: str) -> Optional[Access]:
    """The request in an access log line; None for any other line."""
    haproxy = _HAPROXY.search(text)
    if haproxy:
        request = _HAPROXY_REQUEST.search(text)
        status = haproxy["status"]
        return Access(
            method=request["method"] if request else "",
            target=request["target"] if request else "",
            status=int(status) if status and status != "-1" else None,
            size_bytes=int(haproxy["size"]),
            duration_ns=max(0, int(haproxy["timers"].rsplit("/", 1)[1])) * 1_000_000,
            ending=haproxy["ending"],
        )
    found = _REQUEST.search(text)
    if found is None:
        return None
    return Access(
        method=found["method"],
        target=found["target"],
        status=int(found["status"]),
        size_bytes=int(found["size"]) if found["size"] and found["size"] != "-" else None,
        duration_ns=_took_ns(text[found.end() :]),
    )


def judge_access(access: Access, text: str) -> Tuple[Kind, str]:
    """The symptom of a request, and its finer name."""
    if access.ending and access.ending != "--":
        return _ENDINGS.get(access.ending, (Kind.NONE, ""))
    status = access.status
    if status is None or status < 400 or "kube-probe" in text:
        return Kind.NONE, ""
    return judge_status(status, access)


def judge_status(status: int, access: Access) -> Tuple[Kind, str]:
    """What this status means for this request, at a registry."""
    registry = access.target.startswith(("/v2/", "/v1/", "/service/token"))
    token = "/token" in access.target or "/auth" in access.target
    if status == 401:  # the first half of every login, unless the body is on its way already
        return (Kind.AUTH, "reg.auth") if token or access.method in ("PUT", "PATCH") else (Kind.NONE, "")
    if status == 404:
        return _not_found(access)
    if status == 499:
        return _client_left(access, token)
    if status >= 500:
        return Kind.SERVER_ERROR, f"lb.http_{status}"
    if not registry and status not in (407, 429):
        return Kind.NONE, ""
    return kind_of_status(status), f"lb.http_{status}"


def _not_found(access: Access) -> Tuple[Kind, str]:
    content = "/manifests/" in access.target or "/blobs/" in access.target
    if content and access.method in ("GET", "PUT", "PATCH"):
        return Kind.NOT_FOUND, "reg.not_found"
    return Kind.NONE, ""


def _client_left(access: Access, token: bool) -> Tuple[Kind, str]:
    """nginx's 499.  Docker gives up on a token after 15 s; from a blob it just goes away."""
    waited_ns = access.duration_ns or 0
    waited = waited_ns >= _LONG_WAIT_NS
    if _TRAEFIK_READ_NS <= waited_ns <= _TRAEFIK_READ_NS + SECOND_NS and access.method in ("PUT", "PATCH"):
        return Kind.NET_TIMEOUT, "lb.read_timeout_60s"
    if token and waited:
        return Kind.NET_TIMEOUT, "lb.token_timeout"
    if access.target.startswith("/v2/") and (waited or access.method in ("PUT", "PATCH", "POST")):
        return Kind.CANCELED, "lb.client_gone"
    return Kind.NONE, ""


def _took_ns(rest: str) -> Optional[int]:
    traefik = _TRAEFIK_TOOK.search(rest)
    if traefik:
        return int(traefik[1]) * 1_000_000
    nginx = _NGINX_TOOK.search(rest)
    return int(float(nginx[1]) * 1_000_000_000) if nginx else None
