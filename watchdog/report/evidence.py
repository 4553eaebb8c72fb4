"""The last minutes before an incident, kept as a recording that can be replayed.

Law: memory is bounded.  What a replay needs to start from (policy, ledger, boot,
runtimes, who was connected) outlives its frame: it is folded into a first frame
of the recording, each fact in its newest form.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterable, Optional, Tuple

from watchdog.core.codec import frame_to_json
from watchdog.core.observation import (
    ClientScan,
    Frame,
    IncidentRemembered,
    LedgerSeen,
    MachineSeen,
    ManifestSeen,
    Observation,
    OperatorSeen,
    PolicySeen,
    RuntimeSeen,
    SensorState,
)
from watchdog.core.redaction import redact
from watchdog.core.tick import Tick
from watchdog.report.incidents import IncidentStore
from watchdog.report.writer import Writer

_FIRST = (PolicySeen, MachineSeen, LedgerSeen, OperatorSeen, IncidentRemembered)
_FACTS_KEPT = 256


class Evidence:
    """A ring of the newest frames; saved when an incident opens and when it ends."""

    def __init__(self, frames: int, store: IncidentStore, writer: Writer) -> None:
        self._ring: Deque[Frame] = deque()
        self._frames = frames
        self._facts: Dict[Tuple[str, str], Observation] = {}
        self._facts_ns = 0
        self._store = store
        self._writer = writer

    def observe(self, frame: Frame, tick: Tick) -> None:
        """Take in a frame, and save the ring for each incident that changed its state."""
        self._ring.append(frame)
        while len(self._ring) > self._frames:
            self._fold(self._ring.popleft())
        for name in {transition.incident: None for transition in tick.transitions}:
            self._save(name)

    def recording(self) -> Tuple[Frame, ...]:
        """What would be saved now."""
        facts = sorted(self._facts.values(), key=lambda one: not isinstance(one, _FIRST))
        first = (Frame(self._facts_ns, tuple(facts)),) if facts else ()
        return first + tuple(self._ring)

    def _fold(self, frame: Frame) -> None:
        self._facts_ns = frame.now_ns
        for one in frame.observations:
            key = _lasting(one)
            if key is not None:
                self._facts.pop(key, None)
                self._facts[key] = one
        while len(self._facts) > _FACTS_KEPT:
            manifests = (key for key in self._facts if key[0] == "ManifestSeen")
            del self._facts[next(manifests, next(iter(self._facts)))]

    def _save(self, name: str) -> None:
        frames = self.recording()
        self._writer.submit(
            lambda: self._store.keep_recording(name, as_lines(frames)), key=f"recording {name}"
        )


def as_lines(frames: Iterable[Frame]) -> bytes:
    """A recording: one frame a line, without credentials."""
    return "".join(redact(frame_to_json(frame)) + "\n" for frame in frames).encode()


def _lasting(one: Observation) -> Optional[Tuple[str, str]]:
    """The name of a fact that holds until it is observed anew; None for what merely happened."""
    kind = type(one).__name__
    if isinstance(one, (PolicySeen, MachineSeen, LedgerSeen, OperatorSeen)):
        return kind, ""
    if isinstance(one, (RuntimeSeen, ClientScan)):
        return kind, one.runtime
    if isinstance(one, SensorState):
        return kind, one.sensor
    if isinstance(one, ManifestSeen):
        return kind, one.digest
    return (kind, one.record_json) if isinstance(one, IncidentRemembered) else None
