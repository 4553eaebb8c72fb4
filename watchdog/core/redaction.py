"""Credentials out of text, before it is kept or told.

Law: what is put in their place holds no quote, backslash or white space, so that
JSON stays JSON; text without credentials is returned as it was.
"""

from __future__ import annotations

import re
from typing import List, Pattern, Tuple

HIDDEN = "[redacted]"

_VALUE = r"(?!nil\b|null\b)[^\s\"'\\&,;{}\[]+"
_QUOTE = r"\\*[\"']"  # also as it stands inside a quoted message: \"
_NAMES = r"(?:[\w-]{0,40}(?:password|passwd|secret|token|credential|signature|api[-_]?key)|auth|sig)"
_RULES: List[Tuple[Pattern[str], str]] = [
    # https://user:password@host
    (re.compile(r"(?<=://)[^\s\"'\\/@]+@"), f"{HIDDEN}@"),
    # Authorization: Bearer eyJ..., Basic dXNlcjpw...; words such as "basic authentication" stay
    (re.compile(r"\b((?i:bearer|basic)\s+)(?=\S*[0-9A-Z=])[\w.~+/=-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(rf"(x-registry-(?:auth|config)\S?\s*[=:]\s*){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # token=x, token:x, --password x; "anonymous token: unexpected status" stays
    (re.compile(rf"\b({_NAMES}(?:\s*=\s*|:(?=\S))(?:{_QUOTE})?){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(--(?:password|token|secret)\s+){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # "password": "x"
    (re.compile(rf"\b({_NAMES}{_QUOTE}\s*:\s*{_QUOTE}){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
]


def redact(text: str) -> str:
    """The text without credentials."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text
