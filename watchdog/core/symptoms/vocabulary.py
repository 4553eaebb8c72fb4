"""The words for what a log line shows: the kinds of symptom, and what a line carries besides.

Law: a symptom is the cause that is visible in that one line, not the cause of
the incident.  `none` is everything that is no reason to worry.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional


class SymptomKind(str, Enum):
    """What a line shows; the values are stable and appear in `--json`."""

    NONE = "none"
    NET_RESET = "net_reset"  # an established connection broke in mid-request
    NET_TIMEOUT = "net_timeout"  # dial, handshake, header or whole request took too long
    NET_REFUSED = "net_refused"  # nobody listens there, or no route
    DNS = "dns"
    TLS = "tls"
    PROXY = "proxy"  # the intermediate itself failed: proxy, P2P client, mirror agent
    AUTH = "auth"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"  # 5xx, or an answer that no registry would give
    RANGE_UNSUPPORTED = "range_unsupported"  # a resume was refused
    INTEGRITY = "integrity"  # the bytes are not the ones that were asked for
    DECOMPRESS = "decompress"
    DISK_FULL = "disk_full"
    STORAGE_ERROR = "storage_error"
    STORAGE_STALL = "storage_stall"
    RESOURCE = "resource"  # memory, descriptors, processes
    NO_PROGRESS = "no_progress"  # given up for silence, or waiting for another puller
    RETRY_UNSPECIFIED = "retry_unspecified"  # a retry is announced, its cause is not
    CANCELED = "canceled"
    DAEMON_DOWN = "daemon_down"
    CONFIG = "config"


@dataclass(frozen=True)
class Symptom:
    """What one line shows.

    `detail` is a finer name, `PRODUCT.WHAT` ("dfrs.piece_timeout"), "" where
    there is none; a line of kind `none` may have one, too, because a story
    needs to know that an extraction began.  `attempt` of `attempts`; `status`
    is an HTTP status; `method` an HTTP method; `size_bytes` what was moved
    before it ended; `duration_ns` how long it took; `locked_for_ns` the age of
    the lock that is waited for; `subject` the layer or piece that a noted line is
    about; `wall_ns` the line's own time since the epoch.
    Fields are None or "" where the line does not say.
    """

    kind: SymptomKind
    detail: str = ""
    attempt: Optional[int] = None
    attempts: Optional[int] = None
    status: Optional[int] = None
    method: str = ""
    size_bytes: Optional[int] = None
    address: str = ""
    image: str = ""
    digest: str = ""
    subject: str = ""
    duration_ns: Optional[int] = None
    locked_for_ns: Optional[int] = None
    component: str = ""
    level: str = ""
    wall_ns: Optional[int] = None
