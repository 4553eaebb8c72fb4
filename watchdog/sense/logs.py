"""One followed log: what it says of trouble, without the secrets in it.

Law: a line leaves here redacted, and of a flood of lines that are alike a few
leave and no more.  What a line means, the core decides; that a line alone
confirms nothing as well.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Counter as CounterType
from typing import List

from watchdog.core.observation import LogLine, Observation
from watchdog.core.redaction import redact
from watchdog.core.symptoms.sieve import worth_reading
from watchdog.errors import WatchdogError
from watchdog.sense.health import Health
from watchdog.sense.log_places import Follower

LOOK_FOR_S = 1.0  # a log that grows as fast as it is read must not hold the sensor
ALIKE_MOST = 20  # lines of a look that differ in nothing but numbers: six layers may fail at once
LINES_MOST = 400  # of a look
FLOOD_NS = 60_000_000_000  # so long after the last one it counts as over

_ASKED = "/images/create?"  # who asked for what: no symptom, but a pull's name
_NUMBERS = b"0123456789abcdef"


class LogSensor:
    """One log.  `source` is the runtime's name, or the one that the operator gave to the log.

    Not for several threads at once, but `cursor` is.
    """

    def __init__(self, source: str, follower: Follower) -> None:
        self._source = source
        self._health = Health(f"log.{source}")
        self._follower = follower
        self._cursor = follower.cursor()
        self._flooded_ns = -FLOOD_NS

    def read(self, now_ns: int) -> List[Observation]:
        """The lines that have come; the first look begins with those to come."""
        try:
            lines = self._lines_of_use(now_ns)
        except WatchdogError as error:
            return self._health.down(str(error))
        self._cursor = self._follower.cursor()
        return [
            *self._health.up(self._loss(now_ns)),
            *(LogLine(self._source, redact(line)) for line in lines),
        ]

    def cursor(self) -> str:
        """Where to go on after a restart, for whoever stores it."""
        return self._cursor

    def _lines_of_use(self, now_ns: int) -> List[str]:
        few = _Few()
        ends_at = time.monotonic() + LOOK_FOR_S
        lines = self._follower.read()
        while lines:
            few.add(worth_reading(lines, _ASKED))
            if time.monotonic() > ends_at:
                break
            lines = self._follower.read()
        if few.left_out:
            self._flooded_ns = now_ns
        return few.lines

    def _loss(self, now_ns: int) -> str:
        said = []
        if self._follower.skipped_bytes:
            said.append(f"{self._follower.skipped_bytes} bytes were skipped: the log grew too fast")
        if now_ns - self._flooded_ns < FLOOD_NS:
            said.append("it is flooded; of lines that are alike only some are taken")
        return "; ".join(said)


class _Few:
    """Of many lines the first of each sort; digits and digests make no difference."""

    def __init__(self) -> None:
        self.lines: List[str] = []
        self.left_out = 0
        self._alike: CounterType[bytes] = Counter()

    def add(self, lines: List[str]) -> None:
        for line in lines:
            sort = line.encode("utf-8", "replace").translate(None, _NUMBERS)
            self._alike[sort] += 1
            if self._alike[sort] > ALIKE_MOST or len(self.lines) >= LINES_MOST:
                self.left_out += 1
            else:
                self.lines.append(line)
