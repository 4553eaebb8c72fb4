"""Lines that only say that something ended, or will be tried again, and not why."""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

RULES: Tuple[Rule, ...] = (
    Rule(
        Kind.CANCELED,
        "rt.canceled",
        words(
            """
            context cancel | request cancel | was cancel | pull cancel | pull session cancel
            download cancel | upload cancel | error: code = canceled
            """
        ),
    ),
    Rule(
        Kind.STORAGE_ERROR,
        "rt.layer_failed",
        (
            "failed to register layer",
            "failed to extract layer",
            "error processing tar file",
            "error creating overlay mount",
        ),
    ),
    Rule(
        Kind.RETRY_UNSPECIFIED,
        "rt.retrying",
        words(
            """
            sleeping for backoff | failing to pull image | retrying in | back-off pulling | backoff pulling
            imagepullbackoff | will retry | errimagepull | retrying after
            """
        ),
        without=("failed to watch",),
        matching=re.compile(
            r"retrying in \d+|for backoff|failing to pull|back-?off pulling|imagepullbackoff|errimagepull"
            r"|(?:pull|push|download|upload|image|layer).*retry"
        ),
    ),
    Rule(
        Kind.RETRY_UNSPECIFIED,
        "rt.retrying",
        ("download failed, retrying", "upload failed, retrying", "pull failed, retrying"),
    ),
)
