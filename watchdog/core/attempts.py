"""The attempts at a layer: each a connection, and how it ended.

dockerd tries a layer 5 or 6 times.  Its log tells an attempt's number and the
error, but not the layer; the connection's end tells the layer, but not the
error.  The two are joined by the local port where the error names it, and
else by the moment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Optional, Tuple

from watchdog.core.limits import AttemptEnd, End

JOIN_WITHIN_NS = 4_000_000_000  # between an attempt's end and the log's word of it
TAIL_BYTES = 4096
QUIET_NS = 2_000_000_000


class Ending(str, Enum):
    """How an attempt ended."""

    OPEN = "open"  # it goes on
    COMPLETE = "complete"
    FIN = "fin"
    RESET = "reset"  # by the peer
    OURS = "our_reset"
    TIMEOUT = "timeout"  # the kernel gave up
    RANGE_REFUSED = "range_refused"  # the peer answered 200 where a part was asked for
    REFUSED = "refused"  # an answer that is none, a name that is not found, a port where nobody listens
    UNKNOWN = "unknown"


FAILED = frozenset(Ending) - {Ending.OPEN, Ending.COMPLETE}
CUT = frozenset({Ending.FIN, Ending.RESET, Ending.TIMEOUT, Ending.UNKNOWN})  # by the network or the peer
_ENDS = {Ending.FIN: End.FIN, Ending.RESET: End.RST, Ending.OPEN: End.NONE}


@dataclass(frozen=True)
class Attempt:
    """One attempt at a layer.

    `from_bytes`: where in the layer it began, 0 for from zero.  `layer_bytes`:
    what it brought of the layer.  `last_byte_ns` None: not a byte came, or
    nobody looked when the last one did.
    `quiet_since_ns` is the last byte before its last silence of two seconds or
    more, `quiet_at_bytes` what it had brought by then.
    `limit` is m of dockerd's "retrying (n/m)" and `number` its n, where the log told.
    """

    remote: str
    local: str
    began_ns: int
    from_bytes: int = 0
    layer_bytes: int = 0
    last_byte_ns: Optional[int] = None
    quiet_since_ns: Optional[int] = None
    quiet_at_bytes: int = 0
    ended_ns: Optional[int] = None
    ending: Ending = Ending.OPEN
    unanswered_probes: Optional[int] = None
    number: Optional[int] = None
    limit: Optional[int] = None
    told: str = ""

    @property
    def resumed(self) -> bool:
        return self.from_bytes > 0

    @property
    def silence_ns(self) -> Optional[int]:
        """From the last byte of the layer to the end.

        A cache whose own upstream was cut appends an error to the layer, and
        closes: those few bytes end no silence.
        """
        if self.ended_ns is None or self.last_byte_ns is None:
            return None
        if self.quiet_since_ns is not None and self.layer_bytes - self.quiet_at_bytes <= TAIL_BYTES:
            return self.ended_ns - self.quiet_since_ns
        return self.ended_ns - self.last_byte_ns

    def as_end(self) -> AttemptEnd:
        """What the inference of limits wants to know."""
        return AttemptEnd(
            end=_ENDS.get(self.ending, End.UNKNOWN),
            size_bytes=self.layer_bytes,
            duration_ns=None if self.ended_ns is None else self.ended_ns - self.began_ns,
            silence_ns=self.silence_ns,
            ended_at_ns=self.ended_ns,
            remote=self.remote,
            keepalive_probes=self.unanswered_probes,
        )


@dataclass(frozen=True)
class Failure:
    """What a line of the runtime's log tells of a failed attempt; `local` is "" where it does not say.

    It was read at `at_ns`, and was not there yet at `since_ns`.
    """

    since_ns: int
    at_ns: int
    ending: Ending
    local: str = ""
    number: Optional[int] = None
    limit: Optional[int] = None
    text: str = ""


_RETRY = re.compile(r"Download failed, retrying(?: \((\d{1,4})/(\d{1,4})\))?: (.{1,400})")
_LOCAL = re.compile(r"(?:read|write) tcp (\S+?)->")
_ENDINGS: Tuple[Tuple[str, Ending], ...] = (
    ("expected HTTP 206", Ending.RANGE_REFUSED),
    ("software caused connection abort", Ending.OURS),
    ("connection reset by peer", Ending.RESET),
    ("connection timed out", Ending.TIMEOUT),
    ("unexpected EOF", Ending.FIN),
)


def read_failure(text: str, since_ns: int, at_ns: int) -> Optional[Failure]:
    """The failed attempt that a log line tells of, if it tells of one."""
    found = _RETRY.search(text)
    if found is None:
        return None
    error = found[3]
    local = _LOCAL.search(error)
    return Failure(
        since_ns=since_ns,
        at_ns=at_ns,
        ending=next((ending for words, ending in _ENDINGS if words in error), Ending.REFUSED),
        local=local[1] if local else "",
        number=int(found[1]) if found[1] else None,
        limit=int(found[2]) if found[2] else None,
        text=error.rstrip('"'),
    )
