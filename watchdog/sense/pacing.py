"""A thread for each sensor, so that one that waits for a disk or a daemon waits alone.

Law: asking never blocks.  A sensor that has not answered its last question is
not asked again; when that lasts, it counts as down, and nothing is concluded
from its silence.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Sequence

from watchdog.core.observation import Observation, SensorState

Read = Callable[[int], Sequence[Observation]]

SILENT_AFTER_NS = 3_000_000_000
INBOX_MAX = 20_000


class Inbox:
    """What the sensors saw since the last tick; bounded, the oldest is dropped and counted."""

    def __init__(self, limit: int = INBOX_MAX) -> None:
        self._seen: Deque[Observation] = deque()
        self._limit = limit
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, observations: Sequence[Observation]) -> None:
        """Add what was seen."""
        with self._lock:
            self._seen.extend(observations)
            while len(self._seen) > self._limit:
                self._seen.popleft()
                self.dropped += 1

    def take(self) -> List[Observation]:
        """Everything that has come in, in order."""
        with self._lock:
            taken = list(self._seen)
            self._seen.clear()
        return taken


class PacedSensor:
    """One sensor on a thread of its own, asked at most every `period_ns`."""

    def __init__(self, name: str, read: Read, inbox: Inbox, period_ns: int) -> None:
        self.name = name
        self.period_ns = period_ns
        self._read = read
        self._inbox = inbox
        self._asked_ns: Optional[int] = None
        self._answered = threading.Event()
        self._answered.set()
        self._wake = threading.Event()
        self._up = True
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"{name} sensor", daemon=True)
        self._thread.start()

    def ask(self, now_ns: int) -> bool:
        """Ask it, if it is time and it is not busy; True when it was asked."""
        if not self._answered.is_set():
            self._tell_silence(now_ns)
            return False
        if self._asked_ns is not None and now_ns - self._asked_ns < self.period_ns:
            return False
        self._asked_ns = now_ns
        self._answered.clear()
        self._wake.set()
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for the answer to the last question; False when it did not come in time."""
        return self._answered.wait(seconds)

    def close(self) -> None:
        """Let the thread end; one that hangs is left to the end of the process."""
        self._closing = True
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closing:
                return
            self._inbox.put(self._answer())
            self._answered.set()

    def _answer(self) -> List[Observation]:
        try:
            seen = list(self._read(time.monotonic_ns()))
        except Exception as error:
            # A fault of ours in one sensor must not end the others; it is told as a sensor that is down.
            return self._state(False, f"failed: {error!r}")
        return seen if self._up else [*self._state(True, ""), *seen]

    def _tell_silence(self, now_ns: int) -> None:
        if self._up and self._asked_ns is not None and now_ns - self._asked_ns > SILENT_AFTER_NS:
            self._inbox.put(self._state(False, "it has not answered for 3 s; it waits for the machine"))

    def _state(self, up: bool, detail: str) -> List[Observation]:
        if up == self._up and up:
            return []
        self._up = up
        return [SensorState(f"{self.name}_thread", up, detail)]
