"""nginx, ingress, haproxy, Traefik, Envoy: their error logs.  Access logs are in access.py."""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_NGINX = (
    Rule(
        Kind.NET_TIMEOUT,
        "lb.read_timeout_header",
        ("timed out",),
        ("while reading response header from upstream",),
    ),
    Rule(Kind.NET_TIMEOUT, "lb.read_timeout_body", ("timed out",), ("while reading upstream",)),
    Rule(Kind.NET_TIMEOUT, "lb.send_timeout", ("timed out",), ("while sending request to upstream",)),
    Rule(Kind.NET_TIMEOUT, "lb.connect_timeout", ("timed out",), ("while connecting to upstream",)),
    Rule(Kind.NET_TIMEOUT, "lb.client_stalled_send_timeout", ("client timed out",)),
    Rule(Kind.CANCELED, "lb.client_gone", ("client prematurely closed",)),
    Rule(
        Kind.NET_RESET,
        "lb.upstream_eof_before_header",
        ("prematurely closed connection while reading response header",),
    ),
    Rule(Kind.NET_RESET, "lb.upstream_eof", ("upstream prematurely closed connection",)),
    Rule(
        Kind.NET_RESET,
        "lb.upstream_reset_on_push",
        ("reset by peer", "broken pipe"),
        ("while sending request to upstream",),
    ),
    Rule(
        Kind.NET_RESET,
        "lb.upstream_reset_buffered",
        ("reset by peer",),
        ("readv()", "while reading upstream"),
    ),
    Rule(Kind.NET_RESET, "lb.upstream_reset_unbuffered", ("reset by peer",), ("while reading", "upstream")),
    Rule(
        Kind.NET_REFUSED,
        "lb.upstream_refused",
        ("refused", "no route to host"),
        ("while connecting to upstream",),
    ),
    Rule(Kind.NET_REFUSED, "lb.no_upstream", ("no live upstreams",)),
    Rule(
        Kind.SERVER_ERROR,
        "lb.body_too_large",
        ("too large body", "entity too large", "request body too large"),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "lb.upstream_bad_answer",
        ("upstream sent ",),
        matching=re.compile(r"upstream sent (?:no valid|invalid|too big|unexpected|more data|unsupported)"),
    ),
    Rule(Kind.TLS, "lb.upstream_tls", ("ssl_do_handshake() failed", "upstream ssl certificate verify error")),
)

_OTHERS = (
    Rule(
        Kind.NET_REFUSED,
        "lb.server_down",
        ("is down, ", "no server available"),
        matching=re.compile(r"server \S+/\S+ is down|has no server available"),
    ),
    Rule(Kind.SERVER_ERROR, "lb.no_healthy_upstream", ("no healthy upstream", "backend fetch failed")),
    Rule(
        Kind.NET_RESET,
        "lb.upstream_eof",
        ("upstream connect error or disconnect/reset before headers",),
        without=("timeout", "refused"),
    ),
    Rule(
        Kind.NET_TIMEOUT,
        "lb.connect_timeout",
        ("upstream connect error", "upstream request timeout"),
        ("timeout",),
    ),
    Rule(
        Kind.NET_TIMEOUT,
        "lb.read_timeout_60s",
        ("reading request body", "read request body", "readtimeout"),
        ("timeout",),
    ),
)

RULES: Tuple[Rule, ...] = (*_NGINX, *_OTHERS)
