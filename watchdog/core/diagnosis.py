"""An episode -> its cause, with what the log lets one infer, and what to tell people.

Law: a log line alone confirms nothing; a diagnosis says what it rests on and
speaks of likelihood.  Causes have the names that the agent uses; a cause that
is one symptom has the symptom's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Iterable, Mapping, Optional, Tuple

from watchdog.core import strands
from watchdog.core.advice import node, p2p, registry, transfer
from watchdog.core.advice.record import Advice
from watchdog.core.episode import Episode
from watchdog.core.limits import GIB, Limit, LimitKind, infer_limit, is_temp_file_mark
from watchdog.core.policy import SECOND_NS
from watchdog.core.symptom import SymptomKind as Kind


@dataclass(frozen=True)
class Diagnosis:
    """`cause` is a metric label of the agent's; `reason` tells its kinds apart, "" where there is one."""

    cause: str
    reason: str
    advice: Advice


_Judged = Tuple[str, str, Advice, Mapping[str, str]]


def diagnose(episode: Episode) -> Diagnosis:
    """What went wrong in this episode, most likely."""
    judge = _JUDGES.get(episode.strand, _by_its_name)
    cause, reason, advice, facts = judge(episode)
    names = {"addresses": ", ".join(episode.addresses) or "the address in the lines"}
    evidence = " ".join(filter(None, [facts.get("evidence", ""), *episode.remarks, *_told(episode)]))
    return Diagnosis(cause, reason, advice.filled({**names, **facts, "evidence": evidence}))


def _told(episode: Episode) -> Tuple[str, ...]:
    told = []
    if episode.attempt and episode.attempts:
        told.append(f"The last attempt told of is {episode.attempt} of {episode.attempts}.")
    if episode.images:
        told.append(f"Images: {', '.join(episode.images)}.")
    return tuple(told)


# --- transfers ---------------------------------------------------------------------------


def _transfer(episode: Episode) -> _Judged:
    limit = infer_limit(episode.ends)
    if limit is not None and limit.kind in (LimitKind.SIZE, LimitKind.GAP, LimitKind.TOTAL_TIME):
        return _limited(limit)
    buffered = _temp_file_mark(episode)
    if buffered:
        return "size_limit", "temp_file", transfer.SIZE_LIMIT, _fact(buffered)
    timed = _timeout_of_a_proxy(episode)
    if timed is not None:
        return "time_limit", "gap", transfer.TIME_LIMIT, timed
    if episode.kinds[Kind.RANGE_UNSUPPORTED]:
        return "range_unsupported", "", transfer.RANGE_UNSUPPORTED, {}
    if episode.kinds[Kind.NET_RESET] > 1 or len(episode.ends) > 1:
        return "reset_loop", "", transfer.RESET_LOOP, _fact(f"{episode.count} lines tell of it.")
    return "net_reset", "", transfer.NET_RESET, {}


def _limited(limit: Limit) -> _Judged:
    facts = {
        "evidence": _sentence(limit.evidence),
        "device": limit.device,
        "parameter": limit.parameter,
    }
    if limit.kind is LimitKind.SIZE and limit.value == GIB:
        return "size_limit", "temp_file", transfer.SIZE_LIMIT, facts
    if limit.kind is LimitKind.SIZE:
        return "size_limit", "", transfer.EQUAL_SIZES, facts
    return "time_limit", limit.kind.value, transfer.TIME_LIMIT, facts


def _temp_file_mark(episode: Episode) -> str:
    """What shows nginx's full temporary file, in one transfer; "" if nothing does."""
    for end in episode.ends:
        if end.size_bytes and is_temp_file_mark(end.size_bytes):
            return (
                f"One transfer ended at {end.size_bytes:,} bytes, {end.size_bytes / GIB:.2f} GiB: just over "
                "1 GiB is the mark of that file."
            )
    if episode.details["lb.upstream_reset_buffered"]:
        return (
            "nginx used readv(): it was buffering when the side behind it gave up. Sizes of 1.00 to 1.30 "
            "GiB in its access log are the proof."
        )
    return ""


def _timeout_of_a_proxy(episode: Episode) -> Optional[Dict[str, str]]:
    """nginx and haproxy say themselves that their time-out ended it."""
    seen = [detail for detail in episode.details if detail.startswith("lb.") and "time" in detail]
    seen += [detail for detail in episode.details if detail == "lb.client_stalled_send_timeout"]
    if not seen:
        return None
    return {
        "evidence": "The proxy's own log says that it waited in vain.",
        "device": "nginx or haproxy, 60 s by default",
        "parameter": "proxy_read_timeout, proxy_send_timeout or send_timeout; haproxy: timeout server",
    }


def _push(episode: Episode) -> _Judged:
    limit = infer_limit(episode.ends)
    if limit is not None and limit.kind is LimitKind.TOTAL_TIME:
        return _limited(limit)
    return "push_retry_loop", "", registry.PUSH_RETRY_LOOP, {}


def _locked(episode: Episode) -> _Judged:
    minutes = episode.locked_for_ns // (60 * SECOND_NS)
    told = f"The oldest lock was held for {minutes} minutes." if minutes else ""
    return "layer_locked", "", transfer.LAYER_LOCKED, _fact(told)


# --- mirrors and P2P -----------------------------------------------------------------------


_P2P: Tuple[Tuple[Tuple[str, ...], str, str, Advice], ...] = (  # what explains most comes first
    (
        ("df1.supernode_unreachable", "df1.register_fail", "df1.no_supernode", "df1.supernode_app"),
        *("p2p_supernode_unreachable", "v1"),
        p2p.SUPERNODE_UNREACHABLE,
    ),
    (("df1.",), "mirror_failing", "supernode", p2p.SUPERNODE_FAILS),
    (
        ("dfrs.no_scheduler", "dfrs.back_to_source_disabled", "dfrs.max_schedule"),
        *("p2p_no_scheduler", "v2_rust"),
        p2p.NO_SCHEDULER_RUST,
    ),
    (("dfrs.piece_timeout",), "p2p_piece_timeout", "v2_rust", p2p.PIECE_TIMEOUT_RUST),
    (("dfrs.piece_body_error", "dfrs.stream"), "mirror_failing", "source_cut", p2p.ORIGIN_CUTS_RUST),
    (("dfrs.schedule_timeout",), "p2p_no_scheduler", "v2_rust", p2p.NO_SCHEDULER_RUST),
    (("dfrs.proxy_429",), "p2p_rate_limited", "v2_rust", p2p.RATE_LIMITED),
    (("dfrs.no_space",), "disk_full", "p2p", node.DISK_FULL),
    (
        ("dfgo.sync_stall", "dfgo.preheat_deadline", "dfgo.first_packet"),
        *("p2p_piece_timeout", "v2_go"),
        p2p.PIECE_TIMEOUT_GO,
    ),
    (
        ("dfgo.schedule", "dfgo.back_source", "dfgo.no_parent", "dfgo.register"),
        *("p2p_no_scheduler", "v2_go"),
        p2p.NO_SCHEDULER_GO,
    ),
)


# What download.pieceTimeout was by default in one version or chart or another, and 600 s as advised.
_PIECE_TIMEOUTS_S = (10, 15, 30, 40, 60, 120, 180, 360, 600)
_PIECE_TOLERANCE_NS = SECOND_NS // 2


def _p2p(episode: Episode) -> _Judged:
    met = _piece_timeout_met(episode)
    if met:
        told = f"Pieces failed {met} s after their start: that is the time-out."
        return "p2p_piece_timeout", "v2_rust", p2p.PIECE_TIMEOUT_RUST, _fact(told)
    return (*judge_p2p(episode.details), {})


def judge_p2p(details: Iterable[str]) -> Tuple[str, str, Advice]:
    """Cause, reason and advice: the generation is in the words, the rest by what explains most."""
    said = tuple(details)
    for beginnings, cause, reason, advice in _P2P:
        if any(detail.startswith(beginnings) for detail in said):
            return cause, reason, advice
    return "mirror_failing", "p2p", p2p.MIRROR_FAILING


def _piece_timeout_met(episode: Episode) -> Optional[int]:
    """The seconds of a known time-out that most pieces failed at."""
    for seconds in _PIECE_TIMEOUTS_S:
        at = [wait for wait in episode.waits_ns if abs(wait - seconds * SECOND_NS) <= _PIECE_TOLERANCE_NS]
        if 2 * len(at) > len(episode.waits_ns):
            return seconds
    return None


def _details_with(episode: Episode) -> Callable[..., bool]:
    def has(*beginnings: str) -> bool:
        return any(detail.startswith(beginnings) for detail in episode.details)

    return has


# --- extraction ------------------------------------------------------------------------------


def _extraction(episode: Episode) -> _Judged:
    has = _details_with(episode)
    if has("rt.extraction_stalled", "rt.no_progress_extracting"):
        return "decompressor_blocked", "", node.EXTRACTION_STALLED, {}
    if has("rt.decompressor_missing"):
        return "decompress", "missing", node.DECOMPRESS_MISSING, {}
    if has("rt.decompressor_killed", "rt.truncated_tar"):
        return "decompress", "aborted", node.EXTRACTION_ABORTED, {}
    return "decompress", "corrupt", node.DECOMPRESS_CORRUPT, {}


# --- the table ---------------------------------------------------------------------------------


def _plainly(cause: str, reason: str, advice: Advice) -> Callable[[Episode], _Judged]:
    return lambda episode: (cause, reason, advice, {})


def _answers(episode: Episode) -> _Judged:
    statuses = ", ".join(f"{status} ({count} times)" for status, count in sorted(episode.statuses.items()))
    return "registry_error", "", registry.SERVER_ERROR, _fact(f"Statuses: {statuses}." if statuses else "")


ADVICE_BY_KIND = {
    Kind.NET_TIMEOUT: transfer.NET_TIMEOUT,
    Kind.NET_REFUSED: transfer.NET_REFUSED,
    Kind.DNS: node.DNS,
    Kind.TLS: node.TLS,
    Kind.AUTH: registry.AUTH,
    Kind.NOT_FOUND: registry.NOT_FOUND,
    Kind.RATE_LIMITED: registry.RATE_LIMIT,
    Kind.INTEGRITY: node.INTEGRITY,
    Kind.DISK_FULL: node.DISK_FULL,
    Kind.STORAGE_ERROR: node.STORAGE_ERROR,
    Kind.RESOURCE: node.RESOURCE,
    Kind.DAEMON_DOWN: node.DAEMON_DOWN,
    Kind.CONFIG: node.CONFIG,
    Kind.RETRY_UNSPECIFIED: node.RETRY_UNSPECIFIED,
}


def _by_its_name(episode: Episode) -> _Judged:
    """A strand that is one symptom's own."""
    kind = Kind(episode.strand)
    return kind.value, "", ADVICE_BY_KIND[kind], {}


_JUDGES: Dict[str, Callable[[Episode], _Judged]] = {
    strands.TRANSFER: _transfer,
    strands.PUSH: _push,
    strands.P2P: _p2p,
    strands.EXTRACTION: _extraction,
    strands.LOCKED: _locked,
    strands.STALLED: _plainly("download_stalled", "", transfer.DOWNLOAD_STALLED),
    strands.ANSWERS: _answers,
    strands.PUSH_STALLED: _plainly("push_commit_stalled", "quota_lock", registry.QUOTA_LOCK),
    "registry/database": _plainly("registry_error", "database", registry.DATABASE),
    "registry/storage": _plainly("registry_error", "storage", registry.STORAGE),
    "registry/down": _plainly("registry_error", "registry_down", registry.REGISTRY_DOWN),
    "registry/ingress_404": _plainly("registry_error", "ingress_404", registry.INGRESS_404),
    "proxy": _plainly("mirror_failing", "", p2p.MIRROR_FAILING),
    Kind.STORAGE_STALL.value: _plainly("storage_stalled", "", node.STORAGE_STALLED),
}


def _fact(evidence: str) -> Dict[str, str]:
    return {"evidence": evidence} if evidence else {}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
