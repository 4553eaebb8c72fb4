"""An episode: the lines that belong to one thing that went wrong, kept small.

Law: bounded.  However long the log, an episode keeps a few lines, a few names
and counts; what does not fit is counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Counter as CounterType
from typing import Dict, List, Optional

from watchdog.core.limits import AttemptEnd, End
from watchdog.core.policy import SECOND_NS
from watchdog.core.symptom import Symptom, SymptomKind

MAX_LINES = 6
MAX_NAMES = 5
MAX_ENDS = 64
MIN_BODY_BYTES = 1 << 20  # what is smaller was no layer
DOCKER_DELAY_NS = 5 * SECOND_NS  # dockerd waits attempt x 5 s before the next one


@dataclass(frozen=True)
class SeenLine:
    """A line of the log that an episode rests on; `number` counts from 1."""

    number: int
    text: str


@dataclass
class Episode:
    """What is kept of one strand of a story (strands.py) between two quiet times."""

    strand: str
    count: int = 0
    first_ns: Optional[int] = None
    last_ns: Optional[int] = None
    first_number: int = 0
    lines: List[SeenLine] = field(default_factory=list)
    last_line: Optional[SeenLine] = None
    details: CounterType[str] = field(default_factory=Counter)
    kinds: CounterType[SymptomKind] = field(default_factory=Counter)
    statuses: CounterType[int] = field(default_factory=Counter)
    images: Dict[str, None] = field(default_factory=dict)
    addresses: Dict[str, None] = field(default_factory=dict)
    ends: List[AttemptEnd] = field(default_factory=list)
    waits_ns: List[int] = field(default_factory=list)  # from the start of a piece to its failure
    remarks: List[str] = field(default_factory=list)
    attempt: Optional[int] = None
    attempts: Optional[int] = None
    locked_for_ns: int = 0
    _attempt_ns: Optional[int] = None

    def add(self, line: SeenLine, symptom: Symptom) -> None:
        """One more line of it."""
        self.count += 1
        self.first_number = self.first_number or line.number
        self._keep(line, new=symptom.detail not in self.details)
        self.details[symptom.detail] += 1
        self.kinds[symptom.kind] += 1
        self._at(symptom.wall_ns)
        self._name(symptom)
        self._end(symptom)
        self.locked_for_ns = max(self.locked_for_ns, symptom.locked_for_ns or 0)

    def absorb(self, other: Episode) -> None:
        """The lines of another episode turn out to be a consequence of this one."""
        self.count += other.count
        self._at(other.first_ns)
        self._at(other.last_ns)
        self.first_number = min(self.first_number, other.first_number)
        self.lines = sorted({*self.lines, *other.lines}, key=lambda line: line.number)[:MAX_LINES]
        self.images = dict.fromkeys([*self.images, *other.images][:MAX_NAMES])
        self.statuses.update(other.statuses)
        self.ends = [*self.ends, *other.ends][:MAX_ENDS]
        self.attempt = self.attempt or other.attempt
        self.attempts = self.attempts or other.attempts

    def waited(self, wait_ns: int) -> None:
        """A piece failed so long after its start."""
        if len(self.waits_ns) < MAX_ENDS:
            self.waits_ns.append(wait_ns)

    def shown_lines(self) -> List[SeenLine]:
        """The lines to show: the first of each sort, and the last."""
        last = [self.last_line] if self.last_line and self.last_line not in self.lines else []
        return sorted([*self.lines[: MAX_LINES - len(last)], *last], key=lambda line: line.number)

    def _keep(self, line: SeenLine, new: bool) -> None:
        self.last_line = line
        if len(self.lines) < (MAX_LINES if new else MAX_LINES // 2):
            self.lines.append(line)

    def _at(self, wall_ns: Optional[int]) -> None:
        """Clocks jump: the first and the last are the earliest and the latest."""
        if wall_ns is not None:
            self.first_ns = wall_ns if self.first_ns is None else min(self.first_ns, wall_ns)
            self.last_ns = wall_ns if self.last_ns is None else max(self.last_ns, wall_ns)

    def _name(self, symptom: Symptom) -> None:
        if symptom.image and len(self.images) < MAX_NAMES:
            self.images[symptom.image] = None
        if symptom.address and len(self.addresses) < MAX_NAMES:
            self.addresses[symptom.address] = None
        if symptom.status:
            self.statuses[symptom.status] += 1

    def _end(self, symptom: Symptom) -> None:
        """What the line tells about how an attempt at a transfer ended."""
        if symptom.attempt is not None:
            self._docker_attempt(symptom)
        elif symptom.size_bytes is not None and symptom.size_bytes >= MIN_BODY_BYTES:
            self._keep_end(AttemptEnd(End.UNKNOWN, symptom.size_bytes, symptom.duration_ns))

    def _docker_attempt(self, symptom: Symptom) -> None:
        """`retrying (n/m)`: the time since the one before, less dockerd's own delay, is the attempt's."""
        before, before_ns = self.attempt, self._attempt_ns
        self.attempt, self._attempt_ns = symptom.attempt, symptom.wall_ns
        self.attempts = symptom.attempts
        if before is None or before_ns is None or symptom.wall_ns is None or symptom.attempt != before + 1:
            return
        duration_ns = symptom.wall_ns - before_ns - before * DOCKER_DELAY_NS
        if duration_ns > 0:
            self._keep_end(AttemptEnd(End.UNKNOWN, duration_ns=duration_ns))

    def _keep_end(self, end: AttemptEnd) -> None:
        if len(self.ends) < MAX_ENDS:
            self.ends.append(end)
