"""Text for people: 80 columns, colours on a terminal only, units that read well.

Law: what comes from other programs (a process may be called anything) is
cleaned before it reaches a terminal.
"""

from __future__ import annotations

import os
import textwrap
import time
from datetime import datetime, timezone
from typing import List, Optional, TextIO

WIDTH = 80

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class Style:
    """Colours text, or leaves it as it is."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    def __call__(self, text: str, *names: str) -> str:
        """The text in these colours ("red", "green", "yellow", "bold", "dim")."""
        if not self._enabled or not names:
            return text
        codes = ";".join(_COLOURS[name] for name in names)
        return f"\x1b[{codes}m{text}\x1b[0m"


def style_for(stream: TextIO) -> Style:
    """Colours for a terminal whose user has not asked for none (NO_COLOR)."""
    wanted = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Style(wanted and stream.isatty())


def clean(text: object) -> str:
    """The text without control characters."""
    return "".join(one if one.isprintable() else "?" for one in str(text))


def wrapped(label: str, text: object, indent: int = 2, column: int = 13) -> List[str]:
    """A labelled paragraph: the label at `indent`, the text from `column` on."""
    start = (" " * indent + label).ljust(column)
    return textwrap.wrap(
        clean(text),
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * column,
        break_on_hyphens=False,
    ) or [start.rstrip()]


def size(count: Optional[int]) -> str:
    """Bytes in decimal units, as docker shows them; "?" when unknown."""
    if count is None:
        return "?"
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = max(0, int(seconds))
    for unit_s, name, smaller_s, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= unit_s:
            rest = whole % unit_s // smaller_s
            return f"{whole // unit_s} {name} {rest} {smaller}" if rest else f"{whole // unit_s} {name}"
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"


def moment(text: Optional[str]) -> Optional[float]:
    """Seconds since the epoch of an RFC 3339 time; None when there is none."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def ago(text: Optional[str]) -> str:
    """ "14 s ago", or "" when the time is unknown."""
    then = moment(text)
    return "" if then is None else f"{duration(time.time() - then)} ago"


def clock(text: Optional[str]) -> str:
    """The local time of day of an RFC 3339 time."""
    then = moment(text)
    if then is None:
        return "?"
    return datetime.fromtimestamp(then, timezone.utc).astimezone().strftime("%H:%M:%S")
