"""The time of a log line, in any of the forms that the products write.

Law: pure.  What a stamp leaves out (the year, the zone) comes from the LogClock
that the reader of the log gives.  Without one, a stamp without a year has no
time, and one without a zone is UTC.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Match, Optional, Tuple

from watchdog.core.policy import SECOND_NS

_AHEAD_NS = 2 * 86_400 * SECOND_NS  # how far a log without years may run ahead before it is last year's

ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]+\d\d:\d\d:\d\d(?:[.,]\d{1,9})?" r"(?:\s?(?:Z|UTC)|\s?[+-]\d\d:?\d\d)?"
_ISO = re.compile(
    r"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]+(?P<clock>\d\d:\d\d:\d\d)"
    r"(?:[.,](?P<fraction>\d{1,9}))?\s?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
)
_ACCESS = re.compile(  # nginx, Apache, haproxy: 06/Mar/2025:09:12:33.123 +0000
    r"(?P<day>\d\d)/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<clock>\d\d:\d\d:\d\d)"
    r"(?:\.(?P<fraction>\d{1,9}))?\s?(?P<zone>[+-]\d{4})?"
)
_KLOG = re.compile(r"(?P<month>\d\d)(?P<day>\d\d) (?P<clock>\d\d:\d\d:\d\d)\.(?P<fraction>\d{1,9})")
_SYSLOG = re.compile(  # the month in the node's own language, before or after the day
    r"(?:(?P<month>[^\W\d]{3,9}\.?|\d{1,2}月)\s+(?P<day>\d{1,2})|(?P<day2>\d{1,2})\s+(?P<month2>[^\W\d]{3,9}\.?))"
    r"\s+(?:(?P<year>\d{4})\s+)?(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?(?:\s(?P<year2>\d{4})\b)?"
)
_EPOCH = re.compile(r"(?P<seconds>1\d{9})(?P<rest>\.?\d{0,9})")

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv ene gen янв",
            "feb fév févr fev фев",
            "mar mär mars мар",
            "apr avr abr апр",
            "may mai mag maj май мая",
            "jun juin giu июн",
            "jul juil lug июл",
            "aug août aoû ago авг",
            "sep sept set сен",
            "oct okt out ott окт",
            "nov нояб ноя",
            "dec déc dez dic дек",
        ),
        start=1,
    )
    for name in names.split()
}


@dataclass(frozen=True)
class LogClock:
    """What the reader knows about a log's clock.

    `newest_ns`: no line of it is much later than this (the file's change time,
    or now).  `utc_offset_s`: seconds east of UTC for stamps without a zone.
    """

    newest_ns: int
    utc_offset_s: int = 0


def wall_ns(stamp: str, clock: Optional[LogClock] = None) -> Optional[int]:
    """The first time in `stamp` as nanoseconds since the epoch, or None."""
    for form in (_ISO, _ACCESS, _KLOG, _SYSLOG):
        found = form.search(stamp)
        if found:
            return _resolve(found, clock)
    epoch = _EPOCH.match(stamp)
    return _from_epoch(epoch) if epoch else None


def _resolve(found: Match[str], clock: Optional[LogClock]) -> Optional[int]:
    part = found.groupdict()
    month = _month(part["month"] or part.get("month2") or "")
    day = int(part["day"] or part.get("day2") or 0)
    year = part.get("year") or part.get("year2")
    for candidate in (int(year),) if year else _likely_years(clock):
        seconds = _seconds(candidate, month, day, part["clock"])
        if seconds is None:
            continue
        at_ns = (seconds - _offset_s(part.get("zone"), clock)) * SECOND_NS + _fraction_ns(part["fraction"])
        if year or (clock and at_ns <= clock.newest_ns + _AHEAD_NS):
            return at_ns
    return None


def _likely_years(clock: Optional[LogClock]) -> Tuple[int, ...]:
    if clock is None:
        return ()
    newest = datetime.fromtimestamp(clock.newest_ns // SECOND_NS, timezone.utc).year
    return (newest + 1, newest, newest - 1)


def _month(name: str) -> int:
    """1 to 12, or 0 for a word that is no month."""
    digits = name.rstrip("月")
    if digits.isdecimal():
        return int(digits)
    return _MONTHS.get(name.lower().rstrip(".")) or _MONTHS.get(name.lower()[:3]) or 0


def _seconds(year: int, month: int, day: int, clock: str) -> Optional[int]:
    hour, minute, second = (int(part) for part in clock.split(":"))
    if not (1970 <= year <= 2200 and 1 <= month <= 12 and hour < 24 and minute < 60 and second <= 60):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def _offset_s(zone: Optional[str], clock: Optional[LogClock]) -> int:
    if not zone:
        return clock.utc_offset_s if clock else 0
    if zone in ("Z", "UTC"):
        return 0
    digits = zone[1:].replace(":", "")
    east = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return east if zone[0] == "+" else -east


def _fraction_ns(digits: Optional[str]) -> int:
    return int(digits.ljust(9, "0")) if digits else 0


def _from_epoch(found: Match[str]) -> int:
    """Seconds with a fraction (zap), or milli-, micro- or nanoseconds without a point (journald)."""
    rest = found["rest"].lstrip(".")
    return int(found["seconds"]) * SECOND_NS + _fraction_ns(rest[:9])
