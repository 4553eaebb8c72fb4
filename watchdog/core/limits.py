"""Attempts that end alike -> which limit of which device on the way ended them.

One cut connection says little.  Two or more that ended after the same silence,
the same time, or the same number of bytes name the device, and mostly the
directive.

Law: pure; a guess says what it rests on.  Fewer than two attempts are no pattern.

    A gap limit counts the silence between two operations (nginx read and send
    time-outs); a transfer that trickles never meets it.  A total limit counts
    from the start of the request.  nginx and haproxy give the client a FIN,
    whatever happened behind them: a RST comes from something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional, Sequence, Tuple

from watchdog.core.policy import SECOND_NS

GIB = 1 << 30


class End(str, Enum):
    """How the peer's side of a connection ended."""

    FIN = "fin"
    RST = "rst"
    NONE = "none"  # it did not: silence
    UNKNOWN = "unknown"  # a log tells of it, not a socket


@dataclass(frozen=True)
class AttemptEnd:
    """One attempt at a transfer, when it had ended or while it is silent.

    `silence_ns`: from the last byte to the end, None if unknown (a log knows
    the duration only).  `ended_at_ns`: any clock, the same for all attempts.
    `keepalive_probes`: unanswered ones, of a silent connection; `unread_bytes`:
    what has arrived and is not read.
    """

    end: End
    size_bytes: Optional[int] = None
    duration_ns: Optional[int] = None
    silence_ns: Optional[int] = None
    ended_at_ns: Optional[int] = None
    remote: str = ""
    keepalive_probes: Optional[int] = None
    unread_bytes: int = 0


class LimitKind(str, Enum):
    """What the attempts have in common."""

    GAP = "gap"  # the same silence before the end
    TOTAL_TIME = "total_time"  # the same duration
    SIZE = "size"  # the same number of bytes
    RELOAD = "reload"  # several at the same moment
    IDLE_EXPIRY = "idle_expiry"  # reset after silence
    CUT_IN_FLOW = "cut_in_flow"  # reset in mid-flow
    BLACK_HOLE = "black_hole"  # silent, and nobody answers probes
    PEER_STALLED = "peer_stalled"  # silent, and the peer's host answers
    LOCAL_READER = "local_reader"  # bytes wait here, unread


@dataclass(frozen=True)
class Limit:
    """A limit that ended the attempts.

    `value`: nanoseconds, or bytes for SIZE; None where there is no number.
    `device` and `parameter` in words and directives; `evidence` is a sentence.
    """

    kind: LimitKind
    value: Optional[int]
    device: str
    parameter: str
    evidence: str


# Limits in seconds -> who has it, and how it is called there.
_GAPS: Tuple[Tuple[int, str, str], ...] = (
    (50, "HAProxy with the example configuration", "timeout client / timeout server"),
    (
        60,
        "nginx, ingress-nginx, or an AWS ALB or CLB",
        "proxy_read_timeout and proxy_send_timeout; ALB: idle_timeout",
    ),
    (240, "an Azure load balancer or NAT gateway", "idleTimeoutInMinutes, with TCP reset switched on"),
    (300, "Envoy", "stream_idle_timeout"),
    (350, "an AWS NLB, NAT gateway or Network Firewall", "tcp.idle_timeout.seconds"),
    (600, "the stream module of nginx", "proxy_timeout"),
    (900, "the nginx in front of Harbor", "proxy_read_timeout and proxy_send_timeout"),
)
_TOTALS: Tuple[Tuple[int, str, str], ...] = (
    (15, "Envoy", "the route's timeout"),
    (30, "a Google Cloud application load balancer", "the backend service's timeoutSec"),
    (60, "Traefik since 2.11.2", "entryPoints.<name>.transport.respondingTimeouts.readTimeout"),
    (100, "Cloudflare", "the time to the first byte, 100 s, which only Enterprise can raise"),
    (240, "ingress-nginx after a reload", "worker-shutdown-timeout"),
    (1800, "Harbor's proxy cache", "REGISTRY_HTTP_CLIENT_TIMEOUT"),
)
_NGINX_TEMP_FILE = ("nginx that buffers", "proxy_max_temp_file_size (1024m), with proxy_buffering on")

_NO_SILENCE_NS = 2 * SECOND_NS
_GAP_TOLERANCE_NS = SECOND_NS
_TOTAL_TOLERANCE_NS = 2 * SECOND_NS
_SIZE_TOLERANCE_RATIO = 0.02
_BUFFERED_BYTES = 24 << 20  # what the kernels on the way hold when a proxy that buffers gives up
_MANY_TIMES = 10  # that is no tolerance for sizes of which it would be much
_BUFFERED_RATIO = 0.12  # measured: 11 to 64 MiB beyond a limit of 400, by the client's rate and the kernels
_FOLD = 3  # sizes that lie that far apart are alike if their durations lie so many times further
_SAME_MOMENT_NS = SECOND_NS
_LEAST_SIZE_BYTES = 1 << 20  # below, equal sizes are error pages and headers
_TEMP_FILE_UP_TO_BYTES = int(1.3 * GIB)  # the file, buffers, and what the client took meanwhile


def is_temp_file_mark(size_bytes: int) -> bool:
    """Whether one transfer that ended here looks like nginx's full temporary file: 1.00 to 1.30 GiB."""
    return GIB <= size_bytes <= _TEMP_FILE_UP_TO_BYTES


def infer_limit(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    """The limit that two or more attempts at the same remote have met, or None."""
    if len(attempts) < 2:
        return None
    still_open = any(one.end is End.NONE for one in attempts)
    judges = (_local_reader, _silent) if still_open else (_reload, _reset, _gap, _size, _total_time)
    found = (judge(attempts) for judge in judges)
    return next((limit for limit in found if limit is not None), None)


def _local_reader(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    if not all(one.unread_bytes > 0 and one.end is End.NONE for one in attempts):
        return None
    return Limit(
        LimitKind.LOCAL_READER,
        None,
        "this node",
        "",
        "the bytes have arrived and are not read: the disk or the decompressor is slow, not the network",
    )


def _silent(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    if not all(one.end is End.NONE for one in attempts):
        return None
    probes = [one.keepalive_probes for one in attempts]
    if any(count is None for count in probes):
        return None
    if all(count == 0 for count in probes):
        return Limit(
            LimitKind.PEER_STALLED,
            None,
            "the peer's application",
            "",
            "the peer's host answers keepalive probes and sends nothing: nothing in the runtime ends this",
        )
    if all((count or 0) >= 2 for count in probes):
        return Limit(
            LimitKind.BLACK_HOLE,
            None,
            "a firewall, NAT or load balancer that forgot the connection",
            "its idle time-out, or an MTU",
            "keepalive probes go unanswered; the kernel gives up after 300 s (newer runtimes: 165 s)",
        )
    return None


def _reload(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    """Ends of several connections at one moment; attempts one after the other never are."""
    moments = [one.ended_at_ns for one in attempts if one.ended_at_ns is not None]
    if len(moments) < len(attempts) or max(moments) - min(moments) > _SAME_MOMENT_NS:
        return None
    if not all(one.end in (End.FIN, End.UNKNOWN) for one in attempts):
        return None
    return Limit(
        LimitKind.RELOAD,
        None,
        "the proxy that all of them went through",
        "its reload or restart (ingress-nginx: worker-shutdown-timeout 240s after it)",
        f"{len(attempts)} connections ended within one second",
    )


def _reset(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    if not all(one.end is End.RST for one in attempts):
        return None
    silences = [one.silence_ns for one in attempts if one.silence_ns is not None]
    if len(silences) < len(attempts):
        return None
    if min(silences) > _NO_SILENCE_NS and _spread(silences) <= 2 * _GAP_TOLERANCE_NS:
        value, device, parameter = _nearest(_GAPS, _middle(silences), _GAP_TOLERANCE_NS)
        return Limit(
            LimitKind.IDLE_EXPIRY,
            value,
            device or "a layer-4 device that forgets idle connections",
            parameter or "its idle time-out",
            f"each was reset after {_seconds(_middle(silences))} of silence",
        )
    if max(silences) <= _NO_SILENCE_NS:
        return Limit(
            LimitKind.CUT_IN_FLOW,
            None,
            "a firewall, an intrusion prevention system, or a killed peer",
            "",
            "each was reset in mid-flow; nginx and haproxy never do that",
        )
    return None


def _gap(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    silences = [one.silence_ns for one in attempts if one.silence_ns is not None]
    if len(silences) < 2 or min(silences) <= _NO_SILENCE_NS or _spread(silences) > 2 * _GAP_TOLERANCE_NS:
        return None
    if not all(_may_have_been_silent(one, min(silences)) for one in attempts):
        return None
    value, device, parameter = _nearest(_GAPS, _middle(silences), _GAP_TOLERANCE_NS)
    return Limit(
        LimitKind.GAP,
        value or _middle(silences),
        device or "a proxy on the way",
        parameter or "its time-out between two reads or writes",
        f"{len(silences)} attempts ended after {_seconds(_middle(silences))} without a byte",
    )


def _may_have_been_silent(one: AttemptEnd, silence_ns: int) -> bool:
    """Of an attempt whose last byte nobody saw: whether it lasted that long at all."""
    if one.silence_ns is not None:
        return True
    return one.duration_ns is not None and one.duration_ns >= silence_ns - _GAP_TOLERANCE_NS


def _size(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    sizes = [one.size_bytes for one in attempts if one.size_bytes is not None]
    if len(sizes) < len(attempts) or min(sizes) < _LEAST_SIZE_BYTES or _went_silent(attempts):
        return None
    temp_file = all(is_temp_file_mark(size) for size in sizes)
    if not temp_file and not _sizes_alike(attempts, sizes):
        return None
    if _durations_alike(attempts) and not temp_file:
        return None  # equal in both: a rate, and one cannot tell which limit it was
    device, parameter = (
        _NGINX_TEMP_FILE if temp_file else ("a proxy on the way", "a limit on the size of an answer")
    )
    return Limit(
        LimitKind.SIZE,
        GIB if temp_file else min(sizes),  # what is on its way comes on top
        device,
        parameter,
        f"{len(attempts)} attempts ended at {_mebibytes(min(sizes))} to {_mebibytes(max(sizes))} MiB",
    )


def _sizes_alike(attempts: Sequence[AttemptEnd], sizes: Sequence[int]) -> bool:
    """Whether sizes are equal, as nearly as what ends them counts.

    A proxy that buffers sends its FIN behind what the client took before the
    buffer was in use, and what was on its way when it was full.  The faster the
    client, the more.
    """
    apart = _apart(sizes)
    if apart <= _SIZE_TOLERANCE_RATIO:
        return True
    if not all(one.end is End.FIN for one in attempts) or min(sizes) <= _MANY_TIMES * _BUFFERED_BYTES:
        return False
    return _spread(sizes) <= _BUFFERED_BYTES or _sizes_alone_alike(attempts, apart)


def _sizes_alone_alike(attempts: Sequence[AttemptEnd], apart: float) -> bool:
    """Whether sizes that lie this far apart are near beside the durations: no rate made them so."""
    durations = [one.duration_ns for one in attempts if one.duration_ns is not None]
    if len(durations) < len(attempts) or apart > _BUFFERED_RATIO:
        return False
    return _apart(durations) >= _FOLD * apart


def _total_time(attempts: Sequence[AttemptEnd]) -> Optional[Limit]:
    durations = [one.duration_ns for one in attempts if one.duration_ns is not None]
    if len(durations) < len(attempts) or not _durations_alike(attempts) or _went_silent(attempts):
        return None
    if min(durations) <= _NO_SILENCE_NS:
        return None
    value, device, parameter = _nearest(_TOTALS, _middle(durations), _TOTAL_TOLERANCE_NS)
    return Limit(
        LimitKind.TOTAL_TIME,
        value or _middle(durations),
        device or "a proxy on the way",
        parameter or "its limit on the whole request",
        f"{len(attempts)} attempts ended after {_seconds(_middle(durations))}, however much had arrived",
    )


def _went_silent(attempts: Sequence[AttemptEnd]) -> bool:
    return any(one.silence_ns is not None and one.silence_ns > _NO_SILENCE_NS for one in attempts)


def _durations_alike(attempts: Sequence[AttemptEnd]) -> bool:
    durations = [one.duration_ns for one in attempts if one.duration_ns is not None]
    return len(durations) == len(attempts) and _spread(durations) <= 2 * _TOTAL_TOLERANCE_NS


def _nearest(
    table: Sequence[Tuple[int, str, str]], value_ns: int, tolerance_ns: int
) -> Tuple[Optional[int], str, str]:
    for seconds, device, parameter in table:
        if abs(seconds * SECOND_NS - value_ns) <= tolerance_ns:
            return seconds * SECOND_NS, device, parameter
    return None, "", ""


def _spread(values: Sequence[int]) -> int:
    return max(values) - min(values)


def _apart(values: Sequence[int]) -> float:
    """How far values lie apart, as a part of the largest."""
    return _spread(values) / max(*values, 1)


def _middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def _seconds(value_ns: int) -> str:
    return f"{value_ns / SECOND_NS:.0f} s"


def _mebibytes(value: int) -> str:
    return f"{value / (1 << 20):.0f}"
