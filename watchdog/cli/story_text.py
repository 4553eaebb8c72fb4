"""A story for the eyes of a tired engineer: incident by incident, 80 columns.

First what happened, then what it rests on, then what to do here, what to tell
whom elsewhere, and what not to do.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Iterator, List, Optional, Sequence

from watchdog.cli.text import WIDTH, Style, clean, wrapped
from watchdog.core.episode import SeenLine
from watchdog.core.policy import SECOND_NS
from watchdog.core.story import Incident, Told
from watchdog.core.symptom import parse

_COLUMN = 13


def story_lines(told: Told, remarks: Sequence[str], lines: int, style: Style) -> Iterator[str]:
    """The whole text, line by line."""
    yield style(_summary(told, lines), "bold")
    for remark in (*remarks, *told.notes):
        yield from wrapped("note", remark, column=_COLUMN)
    for number, incident in enumerate(told.incidents, start=1):
        yield ""
        yield from _incident(number, incident, style)


def _summary(told: Told, lines: int) -> str:
    read = f"{lines:,} line{'s' if lines != 1 else ''}"
    if not told.incidents:
        return f"Nothing wrong in {read}."
    count = len(told.incidents)
    return f"{count} incident{'s' if count != 1 else ''} in {read}."


def _incident(number: int, incident: Incident, style: Style) -> Iterator[str]:
    diagnosis = incident.diagnosis
    advice = diagnosis.advice
    cause = diagnosis.cause + (f", {diagnosis.reason}" if diagnosis.reason else "")
    label = f"{number}."
    head = wrapped(label, f"{advice.headline} [{cause}]", indent=0, column=len(label) + 1)
    yield from (style(line, "bold") for line in head)
    yield from _paragraph("when", _span(incident))
    yield from _paragraph("likely", advice.likely)
    yield from _evidence(incident.lines, style)
    yield from _listed("do here", advice.here)
    yield from _listed("tell", [f"{one.whom}: {one.what}" for one in advice.elsewhere])
    yield from _listed("do not", advice.never)


def _span(incident: Incident) -> str:
    count = f"{incident.count} line{'s' if incident.count != 1 else ''}"
    if incident.first_ns is None or incident.last_ns is None:
        return f"{count} without a time"
    first, last = _utc(incident.first_ns), _utc(incident.last_ns)
    return f"{first} UTC, {count}" if first == last else f"{first} to {last} UTC, {count}"


def _utc(wall_ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(wall_ns // SECOND_NS, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return "?"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _paragraph(label: str, text: str) -> List[str]:
    return wrapped(label, " ".join(text.split()), column=_COLUMN) if text.strip() else []


def _listed(label: str, texts: Sequence[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield from _paragraph(label if number == 0 else "", text)


def _evidence(lines: Sequence[SeenLine], style: Style) -> Iterator[str]:
    for number, line in enumerate(lines):
        label = "rests on" if number == 0 else ""
        start = f"{'':2}{label}".ljust(_COLUMN) + f"{line.number}: "
        yield style(start + _cut(_said(line.text), WIDTH - len(start)), "dim")


def _said(text: str) -> str:
    """Time of day, speaker and message: what of a long line is worth the width."""
    entry = parse(text)
    moment = _utc(entry.wall_ns)[11:] if entry.wall_ns is not None else ""
    return clean(" ".join(part for part in (moment, entry.component, entry.text.strip()) if part))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def utc_or_none(wall_ns: Optional[int]) -> Optional[str]:
    """RFC 3339 in UTC, for JSON."""
    if wall_ns is None:
        return None
    text = _utc(wall_ns)
    return None if text == "?" else text.replace(" ", "T") + f".{wall_ns % SECOND_NS:09d}Z"
