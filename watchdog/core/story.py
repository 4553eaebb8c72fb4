"""Many lines -> what went wrong, incident by incident.

    story = Story()
    story.add(number, text, symptom)      for each line that is worth it
    told = story.told(last_ns)            the incidents, with cause and advice

Law: pure and bounded.  The order of the lines is trusted, their clocks are
not: a clock may jump, stand in the future, or be missing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple, TypeVar

from watchdog.core.diagnosis import Diagnosis, diagnose
from watchdog.core.episode import Episode, SeenLine
from watchdog.core.policy import SECOND_NS
from watchdog.core.strands import (
    ANSWERS,
    EXTRACTION,
    FOLLOWS,
    MIRROR_MISS,
    P2P,
    PUSH,
    PUSH_STALLED,
    STALLED,
    TRANSFER,
    strand_of,
)
from watchdog.core.symptom import Symptom, SymptomKind

MINUTE_NS = 60 * SECOND_NS
QUIET_NS = 30 * MINUTE_NS  # after so much quiet the same thing is a new episode
JUMP_NS = 60 * MINUTE_NS
EXTRACTION_NS = 10 * MINUTE_NS  # slow is not hung: huge layers take minutes
MAX_EPISODES = 200
MAX_TRACKED = 512
MAX_TEXT_CHARS = 600

_DEVELOPS_INTO: Dict[str, Tuple[str, ...]] = {  # what a strand's lines may turn out to be consequences of
    ANSWERS: (P2P, PUSH_STALLED, "registry/database", "registry/storage", "registry/down"),
    PUSH: (PUSH_STALLED, "registry/database", "registry/storage", "registry/down"),
    STALLED: (P2P, TRANSFER, EXTRACTION),
    TRANSFER: (P2P,),
    "net_refused": (P2P,),
    "net_timeout": (P2P,),
}


@dataclass(frozen=True)
class Incident:
    """One thing that went wrong, with the lines that it rests on.

    Times are nanoseconds since the epoch, None where the lines have none.
    """

    diagnosis: Diagnosis
    count: int
    first_ns: Optional[int]
    last_ns: Optional[int]
    lines: Tuple[SeenLine, ...]
    images: Tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """The whole story: incidents in the order of their first lines, and remarks that alarm nobody."""

    incidents: Tuple[Incident, ...]
    notes: Tuple[str, ...]


_Kept = TypeVar("_Kept")


class Story:
    """Takes the lines of a log one by one."""

    def __init__(self) -> None:
        self._episodes: List[Episode] = []
        self._follows = Episode(FOLLOWS)
        self._misses = Episode(MIRROR_MISS)
        self._extractions: OrderedDict[str, Tuple[SeenLine, Optional[int]]] = OrderedDict()
        self._pieces: OrderedDict[str, int] = OrderedDict()
        self._terminal: OrderedDict[str, SeenLine] = OrderedDict()
        self._last_ns: Optional[int] = None
        self._jump: Optional[Tuple[int, int]] = None

    def add(self, number: int, text: str, symptom: Symptom) -> None:
        """A line that shows a symptom, or that a story wants to know (a detail without a symptom)."""
        line = SeenLine(number, text[:MAX_TEXT_CHARS])
        self._watch_the_clock(number, symptom.wall_ns)
        if symptom.kind is SymptomKind.NONE:
            self._note(line, symptom)
            return
        strand = strand_of(symptom, text)
        if strand == FOLLOWS:
            self._follow(line, symptom)
        elif strand == MIRROR_MISS:
            self._misses.add(line, symptom)
        else:
            episode = self._episode(strand, symptom.wall_ns)
            episode.add(line, symptom)
            self._piece_failed(episode, symptom)
            if strand == EXTRACTION:
                self._extractions_without_end(symptom.wall_ns)

    def told(self, last_ns: Optional[int] = None) -> Told:
        """The story so far; `last_ns` is the time of the log's last line, where it has one."""
        self._last_ns = last_ns if last_ns is not None else self._last_ns
        self._extractions_without_end(self._last_ns)
        self._terminal_without_end()
        if not self._episodes and self._follows.kinds[SymptomKind.RETRY_UNSPECIFIED]:
            self._follows.strand = SymptomKind.RETRY_UNSPECIFIED.value
            self._episodes.append(self._follows)
        episodes = sorted(_without_consequences(self._episodes), key=lambda one: one.first_number)
        return Told(tuple(map(_incident, episodes)), self._notes())

    def _watch_the_clock(self, number: int, wall_ns: Optional[int]) -> None:
        if wall_ns is None:
            return
        back_ns = (self._last_ns or 0) - wall_ns
        if back_ns > JUMP_NS and self._jump is None:
            self._jump = (number, back_ns)
        self._last_ns = wall_ns

    # --- episodes ---------------------------------------------------------------------

    def _episode(self, strand: str, wall_ns: Optional[int]) -> Episode:
        """The strand's open episode; a new one after a quiet time."""
        same = [episode for episode in self._episodes if episode.strand == strand]
        last = same[-1] if same else None
        if last is not None and (not _is_quiet_since(last, wall_ns) or len(self._episodes) >= MAX_EPISODES):
            return last
        episode = Episode(strand)
        self._episodes.append(episode)
        return episode

    def _follow(self, line: SeenLine, symptom: Symptom) -> None:
        """`context canceled`, `Retrying in`: part of what went wrong last, if that was not long ago."""
        last = self._episodes[-1] if self._episodes else None
        if last is not None and not _is_quiet_since(last, symptom.wall_ns):
            last.add(line, symptom)
        else:
            self._follows.add(line, symptom)

    def _notes(self) -> Tuple[str, ...]:
        notes = []
        canceled = self._follows.kinds[SymptomKind.CANCELED]
        if canceled and not self._episodes:
            notes.append(
                f"A pull or request was cancelled {_times(canceled)}, with no cause before it: by a user or "
                "the kubelet. That is no fault by itself."
            )
        if self._misses.count:
            notes.append(
                f"A mirror did not have an image and the next endpoint was asked "
                f"{_times(self._misses.count)}: that is how mirrors work."
            )
        if self._jump:
            number, back_ns = self._jump
            notes.append(
                f"In line {number} the time goes back by {back_ns // MINUTE_NS} minutes: several logs in a "
                "row, or a clock that was set. What belongs together may be told apart."
            )
        return tuple(notes)

    # --- what stands still between two lines --------------------------------------------

    def _note(self, line: SeenLine, symptom: Symptom) -> None:
        subject, detail = symptom.subject, symptom.detail
        if detail == "rt.extraction_began":
            _remember(self._extractions, subject, (line, symptom.wall_ns))
        elif detail == "rt.extraction_ended":
            self._extractions.pop(subject, None)
        elif detail == "dfrs.piece_began" and symptom.wall_ns is not None:
            _remember(self._pieces, subject, symptom.wall_ns)
        elif detail == "cli.extracting":
            _remember(self._terminal, subject, line)
        elif detail == "cli.layer_done":
            self._terminal.pop(subject, None)
        elif detail == "cli.pull_done":
            self._terminal.clear()

    def _piece_failed(self, episode: Episode, symptom: Symptom) -> None:
        """A piece that failed: how long after its start."""
        began_ns = self._pieces.pop(symptom.subject, None)
        if began_ns is not None and symptom.wall_ns is not None and symptom.wall_ns > began_ns:
            episode.waited(symptom.wall_ns - began_ns)

    def _extractions_without_end(self, now_ns: Optional[int]) -> None:
        """At the end, or when one has failed: those that have been open for long stand still."""
        for began, began_ns in self._extractions.values():
            self._stalled(began, began_ns, now_ns)
        self._extractions.clear()

    def _stalled(self, began: SeenLine, began_ns: Optional[int], until_ns: Optional[int]) -> None:
        if began_ns is None or until_ns is None or until_ns - began_ns < EXTRACTION_NS:
            return
        episode = self._episode(EXTRACTION, began_ns)
        episode.add(began, Symptom(SymptomKind.NONE, "rt.extraction_stalled", wall_ns=began_ns))
        minutes = (until_ns - began_ns) // MINUTE_NS
        episode.remarks.append(
            f"The extraction in line {began.number} had not ended {minutes} minutes later."
        )

    def _terminal_without_end(self) -> None:
        """`docker pull` on a terminal whose output ends in an extraction, and nothing else is wrong."""
        if not self._terminal or self._episodes:
            return
        episode = self._episode(EXTRACTION, None)
        for line in self._terminal.values():
            episode.add(line, Symptom(SymptomKind.NONE, "rt.extraction_stalled"))
        episode.remarks.append(
            "The output ends while it is still extracting: it stands if this has not moved since."
        )


def _remember(tracked: OrderedDict[str, _Kept], key: str, value: _Kept) -> None:
    """Keep the newest; a log has no end."""
    tracked[key] = value
    tracked.move_to_end(key)
    if len(tracked) > MAX_TRACKED:
        tracked.popitem(last=False)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _is_quiet_since(episode: Episode, wall_ns: Optional[int]) -> bool:
    return wall_ns is not None and episode.last_ns is not None and wall_ns - episode.last_ns > QUIET_NS


def _without_consequences(episodes: List[Episode]) -> List[Episode]:
    """The episodes that are causes; consequences are absorbed by the nearest of theirs."""
    kept: List[Episode] = []
    for episode in episodes:
        causes = _DEVELOPS_INTO.get(episode.strand, ())
        near = [one for one in episodes if one.strand in causes and _are_near(one, episode)]
        if near:
            near[0].absorb(episode)
        else:
            kept.append(episode)
    return kept


def _are_near(one: Episode, other: Episode) -> bool:
    if one.first_ns is None or one.last_ns is None or other.first_ns is None or other.last_ns is None:
        return True
    return one.first_ns - QUIET_NS <= other.last_ns and other.first_ns <= one.last_ns + QUIET_NS


def _incident(episode: Episode) -> Incident:
    return Incident(
        diagnosis=diagnose(episode),
        count=episode.count,
        first_ns=episode.first_ns,
        last_ns=episode.last_ns,
        lines=tuple(episode.shown_lines()),
        images=tuple(episode.images),
    )
