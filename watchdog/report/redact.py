"""Secrets out of text that others will read.

Law: what is replaced never holds a quote, a backslash or white space, so JSON
text stays JSON.
"""

from __future__ import annotations

import re
from typing import List, Pattern, Tuple

HIDDEN = "[redacted]"

_VALUE = r"[^\s\"'\\&,;]+"
_RULES: List[Tuple[Pattern[str], str]] = [
    # https://user:password@host
    (re.compile(r"(?<=://)[^\s\"'\\/@]+@"), f"{HIDDEN}@"),
    # Authorization: Bearer eyJ..., Basic dXNlcjpw...
    (re.compile(r"\b(bearer|basic)(\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    # --password=x, -p is left alone: too many programs mean a port by it
    (
        re.compile(
            r"((?:password|passwd|secret|token|credential|signature|api[-_]?key)\s*[=:]\s*)" + _VALUE,
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(--(?:password|token|secret)\s+)" + _VALUE, re.IGNORECASE), rf"\1{HIDDEN}"),
]


def redact(text: str) -> str:
    """The text without credentials; text without any is returned as it is."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text
