"""The kernel's counters of one TCP connection: struct tcp_info of linux/tcp.h.

The struct has grown with the kernel; what an older one does not tell is None.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Optional

_UNANSWERED_PROBES_AT = 3
_LAST_RECEIVED_AT, _RTT_AT, _TOTAL_RETRANSMITS_AT = 52, 68, 100
_ACKED_BYTES_AT, _RECEIVED_BYTES_AT = 120, 128
_MOST_BYTES = 256
NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class TcpInfo:
    """`silent_ns`: since the peer's last byte; None before its first one, for the
    kernel then counts from some moment of no meaning.
    """

    state: int
    unanswered_probes: int
    rtt_us: int
    retransmits: int
    silent_ns: Optional[int]
    received_bytes: Optional[int]
    acked_bytes: Optional[int]


def parse_tcp_info(text: bytes) -> TcpInfo:
    """Parse the bytes of a struct tcp_info of any length."""
    received = _number64(text, _RECEIVED_BYTES_AT)
    silent_ms = _number(text, _LAST_RECEIVED_AT)
    return TcpInfo(
        state=text[0],
        unanswered_probes=text[_UNANSWERED_PROBES_AT],
        rtt_us=_number(text, _RTT_AT),
        retransmits=_number(text, _TOTAL_RETRANSMITS_AT),
        silent_ns=silent_ms * NS_PER_MS if received else None,
        received_bytes=received,
        acked_bytes=_number64(text, _ACKED_BYTES_AT),
    )


def _number(text: bytes, at: int) -> int:
    return int(struct.unpack_from("=I", text, at)[0])


def _number64(text: bytes, at: int) -> Optional[int]:
    return int(struct.unpack_from("=Q", text, at)[0]) if len(text) >= at + 8 else None
