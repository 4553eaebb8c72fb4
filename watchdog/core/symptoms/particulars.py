"""What a line carries besides its symptom: attempts, status, bytes, addresses, image, digest, durations."""

from __future__ import annotations

import re
from typing import Dict, Mapping, Optional, Pattern, Tuple, Union

from watchdog.core.symptoms.access import read_access
from watchdog.core.symptoms.answers import status_in
from watchdog.core.symptoms.log_format import LogEntry

Particulars = Dict[str, Union[int, str, None]]

_ATTEMPT_OF = re.compile(r"retrying \((\d{1,4})/(\d{1,4})\)")
_ATTEMPTS = re.compile(r"after (\d{1,4}) attempts?|attempts=(\d{1,4})|\((\d{1,4})\) times")
_BYTES = re.compile(r"(?:from|received|wrote:?|used|written|copied) (\d{1,18})(?: bytes|\b)")
_ADDRESS = re.compile(
    r"(?:dial (?:tcp|udp) |->|connect to node:|register to |address |peer:|upstream: \"https?://)"
    r"(\[[0-9a-fA-F:]+\]:\d{1,5}|[\w.-]+:\d{1,5})"
    r"|unix:? ?(?://)?(/[\w./-]+\.sock)"
    r"|https?://([\w.-]+(?::\d{1,5})?)"
)
_SUBJECT = re.compile(
    r"^([0-9a-f]{12}): |Applying tar in \S*/(\w{20,})/diff|Applied tar \S+ to (\w{20,})"
    r"|download piece (\S+) from|piece_id=\"?([\w-]+)"
)
_METHOD = re.compile(r"request: \"([A-Z]{3,7}) /|during blob ([A-Z]{3,7})|(Upload failed)")
_PORT = re.compile(r"ip:([\w.-]+) port:(\d{1,5})")
_IMAGE = re.compile(
    r"(?:[Pp]ull(?:ing)? (?:and unpack )?(?:an? )?image(?! config)|PullImage|resolve reference"
    r"|pulling from|image=|[Mm]anifest for|access denied for)"
    r"[ :=]*[\"'\\]*(?!(?:from|failed)\b)([\w][\w./@:<>-]{1,300})"
)
_PATH = re.compile(r"/v2/([\w.-][\w./-]{0,250}?)/(?:manifests|blobs|tags)/([\w.:@-]*)")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_DURATION = re.compile(
    r"(?:no progress (?:in|for)|retrying in|blocked for more than|timeout\(|did not response in|after)"
    r" (?P<span>[\dhmsµun.]+)(?: (?P<unit>seconds?))?",
    re.IGNORECASE,
)
_LOCKED = re.compile(r"locked for ([\d.hmsµun]+)")
_GO_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(h|ms|m|s|us|µs|ns)")
_UNIT_NS = {
    "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000,
    "ms": 1_000_000, "us": 1_000, "µs": 1_000, "ns": 1,
}  # fmt: skip
_MAX_NS = 10**18  # thirty years: longer is no duration
_MAX_CHARS = 64


def duration_ns(text: str) -> Optional[int]:
    """A Go duration ("3m30.1s", "27.8ms") in nanoseconds, None if it is none."""
    parts = _GO_PART.findall(text) if len(text) <= _MAX_CHARS else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    total = sum(float(number) * _UNIT_NS[unit] for number, unit in parts)
    return int(total) if total < _MAX_NS else None


def locked_for_ns(text: str) -> Optional[int]:
    """The age of the hold in `ref X locked for 11.9s`."""
    found = _LOCKED.search(text)
    return duration_ns(found[1].rstrip(".")) if found else None


def particulars(entry: LogEntry) -> Particulars:
    """The fields of a Symptom that this entry fills."""
    text, fields = entry.text, entry.fields
    attempt, attempts = _attempts(text)
    access = read_access(text)
    image, digest = _subject(text, fields)
    return {
        "attempt": attempt,
        "attempts": attempts,
        "status": access.status if access else _status(text, fields),
        "method": access.method if access else _method(text, fields),
        "size_bytes": access.size_bytes if access else _size_bytes(text, fields),
        "address": _address(text, fields),
        "image": image,
        "digest": digest,
        "subject": _first(_SUBJECT, text),
        "duration_ns": access.duration_ns if access else _duration_ns(text, fields),
        "locked_for_ns": locked_for_ns(text),
    }


def _attempts(text: str) -> Tuple[Optional[int], Optional[int]]:
    counted = _ATTEMPT_OF.search(text)
    if counted:
        return int(counted[1]), int(counted[2])
    final = _ATTEMPTS.search(text)
    if final is None:
        return None, None
    number = int(next(group for group in final.groups() if group))
    return number, None


def _status(text: str, fields: Mapping[str, str]) -> Optional[int]:
    return _integer(fields.get("http.response.status")) or status_in(text.lower())


def _size_bytes(text: str, fields: Mapping[str, str]) -> Optional[int]:
    for name in ("http.response.written", "copied"):
        size = _integer(fields.get(name))
        if size is not None:
            return size
    found = _BYTES.search(text)
    return int(found[1]) if found else None


def _method(text: str, fields: Mapping[str, str]) -> str:
    """The HTTP method; PATCH for dockerd's own word about an upload."""
    told = fields.get("http.request.method") or _first(_METHOD, text)
    return "PATCH" if told == "Upload failed" else told


def _first(pattern: Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return next((group for group in found.groups() if group), "") if found else ""


def _address(text: str, fields: Mapping[str, str]) -> str:
    found = _first(_ADDRESS, text)
    if found:
        return found
    apart = _PORT.search(text)
    if apart:
        return f"{apart[1]}:{apart[2]}"
    return fields.get("http.request.host", "") or fields.get("host", "")


def _subject(text: str, fields: Mapping[str, str]) -> Tuple[str, str]:
    """Image and digest.  A path names the repository; only its manifest request names the tag."""
    where = text + " " + fields.get("http.request.uri", "")
    named, path, digest = _IMAGE.search(where), _PATH.search(where), _DIGEST.search(where)
    if named:
        image = named[1].rstrip(":.")
    elif path:
        tag = path[2] if "/manifests/" in path[0] and not path[2].startswith("sha256") else ""
        image = path[1] + (":" + tag if tag else "")
    else:
        image = ""
    return image, "sha256:" + digest[1] if digest else ""


def _duration_ns(text: str, fields: Mapping[str, str]) -> Optional[int]:
    told = duration_ns(fields.get("http.response.duration", ""))
    if told is not None:
        return told
    found = _DURATION.search(text)
    if found is None:
        return None
    span = found["span"].rstrip(".")
    return duration_ns(span + "s" if found["unit"] else span)


def _integer(text: Optional[str]) -> Optional[int]:
    return int(text) if text and text.isdecimal() and len(text) <= 18 else None
