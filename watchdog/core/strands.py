"""Which strand of a story a line belongs to: what is one fault, told by several products.

A strand is a name like "transfer" or "registry/database".  Lines that only say
that something ended (`FOLLOWS`) belong to whatever went wrong before them.
"""

from __future__ import annotations

from typing import Optional, Tuple

from watchdog.core.symptom import Symptom
from watchdog.core.symptom import SymptomKind as Kind

FOLLOWS = "follows"
TRANSFER, PUSH, P2P, EXTRACTION = "transfer", "push", "p2p", "extraction"
LOCKED, STALLED, ANSWERS = "locked", "stalled", "registry/answers"
PUSH_STALLED, MIRROR_MISS = "registry/push_stalled", "mirror_miss"

_PUSHING = ("PUT", "PATCH", "POST")
_P2P_PORTS = ("127.0.0.1:65001", "localhost:65001", "127.0.0.1:4001", "localhost:4001")
_LONG_NS = 60_000_000_000
_BODY_BYTES = 1 << 20

_BY_DETAIL: Tuple[Tuple[str, str], ...] = (  # the beginning of a detail -> its strand
    ("df", P2P),
    ("harbor.quota_lock", PUSH_STALLED),
    ("harbor.db_", "registry/database"),
    ("harbor.registry_unreachable", "registry/down"),
    ("reg.s3_", "registry/storage"),
    ("rt.no_progress_extracting", EXTRACTION),
    ("rt.truncated_tar", EXTRACTION),
    ("rt.layer_locked", LOCKED),
    ("rt.waiting_for_puller", LOCKED),
    ("rt.mirror_agent", "proxy"),
)
_BY_KIND = {
    Kind.CANCELED: FOLLOWS,
    Kind.RETRY_UNSPECIFIED: FOLLOWS,
    Kind.NET_RESET: TRANSFER,
    Kind.RANGE_UNSUPPORTED: TRANSFER,
    Kind.DECOMPRESS: EXTRACTION,
    Kind.NO_PROGRESS: STALLED,
    Kind.SERVER_ERROR: ANSWERS,
}


def strand_of(symptom: Symptom, text: str) -> str:
    """The strand of a line with a symptom; FOLLOWS if it has none of its own."""
    by_detail = (strand for beginning, strand in _BY_DETAIL if symptom.detail.startswith(beginning))
    named = next(by_detail, None) or _by_circumstance(symptom, text)
    return named or _BY_KIND.get(symptom.kind, symptom.kind.value)


def _by_circumstance(symptom: Symptom, text: str) -> Optional[str]:
    """What the address, the method and the status add to the kind."""
    kind = symptom.kind
    if symptom.address in _P2P_PORTS and kind not in (Kind.AUTH, Kind.NOT_FOUND):
        return P2P
    if kind is Kind.NOT_FOUND and "next endpoint" in text:
        return MIRROR_MISS
    if _pushing_for_long(symptom):
        return PUSH_STALLED
    if kind is Kind.SERVER_ERROR:
        return _answer(symptom)
    if symptom.method in _PUSHING and kind in (Kind.NET_RESET, Kind.NET_TIMEOUT):
        return PUSH
    return TRANSFER if kind is Kind.NET_TIMEOUT and symptom.detail.startswith("lb.") else None


def _pushing_for_long(symptom: Symptom) -> bool:
    """A write that a proxy or the client gave up after a minute or more of waiting for the answer."""
    gave_up = symptom.status in (499, 504)
    return gave_up and symptom.method in _PUSHING and (symptom.duration_ns or 0) >= _LONG_NS


def _answer(symptom: Symptom) -> str:
    if symptom.status == 404:
        return "registry/ingress_404"
    if symptom.status == 524 or symptom.method in _PUSHING:
        return PUSH
    if (symptom.size_bytes or 0) >= _BODY_BYTES and symptom.method == "GET":
        return TRANSFER  # an error after megabytes of body: the body was cut
    return ANSWERS
