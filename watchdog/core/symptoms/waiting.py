"""Waiting for somebody else, and being given up for silence."""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_PULL = re.compile(r"pull|image|failed to solve")

RULES: Tuple[Rule, ...] = (
    Rule(
        Kind.NO_PROGRESS,
        "rt.no_progress_extracting",
        ("because of no progress",),
        with_all=(": extracting",),
    ),
    Rule(
        Kind.NO_PROGRESS,
        "rt.no_progress_cancel",
        ("because of no progress", "no progress for", "no progress in"),
    ),
    Rule(
        Kind.NO_PROGRESS,
        "rt.waiting_for_puller",
        ("already being pulled by another client", "by another client"),
    ),
    # "locked for" is the age of the hold; symptom.py lets a young one pass.
    Rule(
        Kind.NO_PROGRESS,
        "rt.layer_locked",
        ("locked for", "locked: ", "locking ref"),
        matching=re.compile(r"\bref \S+ locked|locked for \d|locking ref .*locked"),
    ),
    # A CRI pull has no deadline but the progress guard, so this is its other end.
    Rule(
        Kind.NO_PROGRESS,
        "rt.no_progress_cancel",
        ("context canceled", "error: code = canceled"),
        matching=re.compile(
            r"code = canceled.*failed to pull and unpack|pullimage .*(?:context canceled|code = canceled)"
        ),
    ),
    Rule(
        Kind.NO_PROGRESS,
        "rt.no_progress_cancel",
        ("net/http: request canceled",),
        matching=re.compile(r"(?:errimagepull|pull image).*request canceled\W*$"),
    ),
    Rule(
        Kind.NO_PROGRESS,
        "rt.deadline",
        ("deadline exceeded",),
        matching=_PULL,
        without=("http", "dial", "read tcp", "connect", "lookup ", "scheduler", ".sock", "client.timeout"),
    ),
    Rule(
        Kind.NO_PROGRESS,
        "rt.pull_timeout",
        ("timed out", "timeout"),
        matching=re.compile(
            r"(?:pull|download)(?:ing)?\W(?:\S+\W)?(?:image|layer)?.{0,60}(?:timed out|timeout waiting)"
        ),
        without=(
            "i/o timeout",
            "handshake",
            "client.timeout",
            "http",
            "connection timed out",
            "dial",
            "read tcp",
        ),
    ),
    Rule(Kind.NO_PROGRESS, "rt.pleg", ("pleg is not healthy",)),
)
