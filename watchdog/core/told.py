"""What the followed logs said lately, by the runtime that it concerns.

    World.told["docker"] -> deque of Told, newest last

Law: only lines with a symptom, and a bounded number of them.  A flood of one
kind pushes out lines of that kind, never the one line of another.  A line alone
confirms nothing (law 3 of the engine).
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import Deque, Dict, List, Mapping, Optional, Tuple

from watchdog.core.evidence import Evidence
from watchdog.core.observation import ClientScan, LogLine, ManifestSeen
from watchdog.core.symptom import LogClock, Symptom, SymptomKind, classify

KEPT = 256  # lines of one runtime
TRUSTED_NS = 3600 * 1_000_000_000  # a line's own time counts if it is no older: zones differ by more
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Told:
    """A line with a symptom.

    `at_ns`: when it was written, where its own time can be believed, else when
    it was read.  `source`: the runtime whose log it is, or the followed log's name.
    `agrees`: what was seen besides (agreement.py).  `asked_for`: the image of the
    client that left because of it.
    """

    at_ns: int
    source: str
    symptom: Symptom
    text: str
    agrees: Tuple[Evidence, ...] = ()
    asked_for: str = ""


def told_by(line: LogLine, now_ns: int, wall_ns: int) -> Optional[Told]:
    """The line with its symptom; None where it has none.  `wall_ns` is the wall clock at `now_ns`."""
    symptom = classify(line.text, LogClock(wall_ns))
    if symptom.kind is SymptomKind.NONE:
        return None
    age_ns = wall_ns - symptom.wall_ns if symptom.wall_ns is not None else 0
    return Told(now_ns - age_ns if 0 < age_ns <= TRUSTED_NS else now_ns, line.source, symptom, line.text)


def keep(told: Dict[str, Deque[Told]], runtime: str, one: Told) -> None:
    """Add it to what concerns that runtime."""
    kept = told.setdefault(runtime, deque())
    kept.append(one)
    if len(kept) > KEPT:
        _forget_one(kept)


def _forget_one(kept: Deque[Told]) -> None:
    """The oldest of the most frequent kind."""
    most, _ = Counter(map(_sort_of, kept)).most_common(1)[0]
    del kept[next(at for at, one in enumerate(kept) if _sort_of(one) == most)]


def _sort_of(one: Told) -> Tuple[str, SymptomKind, str]:
    return one.source, one.symptom.kind, one.symptom.detail


def concerned(
    one: Told,
    runtimes: List[str],
    clients: Mapping[str, ClientScan],
    manifests: Mapping[str, ManifestSeen],
) -> List[str]:
    """The runtimes that the line is about.

    A runtime's own log is about that runtime.  Another log is about the only
    runtime, or about those whose pulls or layers the line names.
    """
    if one.source in runtimes or not runtimes:
        return [one.source]
    if len(runtimes) == 1:
        return runtimes
    return [name for name in runtimes if _names(one, name, clients.get(name), manifests)]


def _names(
    one: Told, runtime: str, scan: Optional[ClientScan], manifests: Mapping[str, ManifestSeen]
) -> bool:
    if scan is not None and any(client.image and client.image in one.text for client in scan.clients):
        return True
    digests = set(_DIGEST.findall(one.text))
    theirs = [seen for seen in manifests.values() if seen.runtime == runtime] if digests else []
    return any(
        not digests.isdisjoint((seen.digest, *(each.digest for each in seen.layers))) for seen in theirs
    )
