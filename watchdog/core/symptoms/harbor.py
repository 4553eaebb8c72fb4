"""Harbor's own faults: database, quota, storage, and the way from core to registry.

Harbor answers `internal server error` for all of them; the cause is only in
core's, the registry's or the database's log.
"""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_DATABASE = (
    Rule(Kind.SERVER_ERROR, "harbor.quota_lock", ("still waiting for",), matching=re.compile(r"\w+lock on ")),
    Rule(Kind.SERVER_ERROR, "harbor.quota_lock", ("process holding the lock", "canceling statement due to")),
    Rule(
        Kind.SERVER_ERROR,
        "harbor.quota_lock",
        ("quota",),
        matching=re.compile(
            r"(?:refresh|request|reserve|update|lock|get|acquire)\w*.*\bquota.*(?:timeout|lock|deadline)"
        ),
    ),
    Rule(Kind.SERVER_ERROR, "harbor.db_conn_exhausted", ("too many clients", "remaining connection slots")),
    Rule(Kind.SERVER_ERROR, "harbor.db_conn_exhausted", ("too many connections",)),
    Rule(
        Kind.SERVER_ERROR,
        "harbor.db_conn_stale",
        ("transaction failed", "begin transaction", "driver: bad connection", "invalid connection"),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "harbor.db_down",
        ("database system is", "terminating connection", "shutting down"),
        matching=re.compile(r"database system is (?:starting|shutting|in recovery)|administrator command"),
    ),
    Rule(Kind.SERVER_ERROR, "harbor.db_error", ("pq: ", "failed to run sql")),
    Rule(
        Kind.SERVER_ERROR,
        "harbor.db_down",
        ("refused", "reset by peer", "timeout", "timed out", "no route to host", "eof", "broken pipe"),
        matching=re.compile(r"(?::5432|:6379|\bredis\b|postgresql)"),
        without=("lookup ",),
    ),
)

_DENIED = (
    Rule(
        Kind.AUTH,
        "harbor.quota_exceeded",
        ("over the quota", "exceed the configured", "quota exceeded", "storage quota is"),
    ),
    Rule(
        Kind.AUTH,
        "harbor.quota_exceeded",
        ("when updated to current usage",),
    ),
    Rule(Kind.AUTH, "harbor.read_only", ("read only mode", "read-only mode")),
)

_STORAGE = (
    Rule(
        Kind.SERVER_ERROR, "reg.s3_throttle", ("slowdown", "reduce your request rate", "operation throttled")
    ),
    Rule(
        Kind.SERVER_ERROR,
        "reg.s3_path_not_found",
        ("path not found",),
        matching=re.compile(r"s3aws|s3|swift|oss|gcs|azure|unknown error|resolving"),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "reg.s3_internal_error",
        (
            *words(
                """
                nosuchupload | nosuchbucket | requesterror: send request
                """
            ),
            "s3aws: ",
            "swift: ",
            "azure: ",
            "gcs: ",
        ),
        without=(
            "timeout",
            "timed out",
            "refused",
            "reset by",
            "no such host",
            "no space",
            "x509",
            "lookup ",
        ),
    ),
)

_CORE = (
    Rule(
        Kind.NET_REFUSED,
        "harbor.registry_unreachable",
        ("refused", "no route to host"),
        with_all=("http: proxy error",),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "harbor.quota_missing",
        (
            "quota not found",
            "quota",
        ),
        with_all=("not found",),
        matching=re.compile(r"quota .*not found"),
    ),
    Rule(
        Kind.SERVER_ERROR,
        "harbor.gc_failed",
        ("failed to",),
        matching=re.compile(r"\bgc job\b|/gc/|sweep phase"),
    ),
)

RULES: Tuple[Rule, ...] = (*_DENIED, *_DATABASE, *_STORAGE, *_CORE)
