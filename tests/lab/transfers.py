"""The product's sight of transfers, run over a lab: sensor, model and causes, a look a second.

No agent: what it would see and judge, before anything is decided.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.lab.lab import Lab
from watchdog.core.causes.attempts import failing_downloads
from watchdog.core.causes.download import silent_downloads
from watchdog.core.causes.finding import Finding
from watchdog.core.causes.queue import blocked_pulls
from watchdog.core.demand import Demand, Waiting
from watchdog.core.download import Download
from watchdog.core.observation import Client, LogLine, TransferScan
from watchdog.core.policy import Thresholds
from watchdog.core.transfer import Transfers
from watchdog.host.proc import identify
from watchdog.sense.transfer import TransferSensor

SECOND_NS = 1_000_000_000
RUNTIME = "lab"


class Sight:
    """What is seen of a lab's dockerd; `limits` are the thresholds, smaller than in the field."""

    def __init__(self, lab: Lab, limits: Thresholds | None = None) -> None:
        self.transfers = Transfers(SECOND_NS)
        self.limits = limits or Thresholds(stalled=4, header_wait=6, waiting=4)
        self.findings: list[Finding] = []
        self.ever: dict[tuple[str, str], Finding] = {}  # all that were ever confirmed
        self._lab = lab
        self._waiting: list[Waiting] = []
        self._ports: set[int] = set()
        self._read = len(lab.dockerd.log_text())
        self._sensor = TransferSensor(RUNTIME)
        self._sensor.follow(identify(lab.dockerd.pid))

    def client(self, pid: int, image: str, layers: tuple[str, ...] | None = None) -> None:
        """A pull is under way, as the client and manifest sensors would tell."""
        known = None if layers is None else frozenset((digest, 1) for digest in layers)
        one = Client(identify(pid), "pull", image, connected=True)
        self._waiting.append(Waiting(one, time.monotonic_ns(), known))
        self._ports.add(int(image.partition("/")[0].rpartition(":")[2]))

    @property
    def demand(self) -> Demand:
        return Demand(tuple(self._waiting), frozenset(self._ports), frozenset(self._ports))

    def look(self) -> None:
        """One look, and the judgement of it."""
        now_ns = time.monotonic_ns()
        text = self._lab.dockerd.log_text()
        for line in text[self._read :].splitlines():
            self.transfers.note_line(LogLine(RUNTIME, line), now_ns)
        self._read = len(text)
        for one in self._sensor.read(now_ns):
            if isinstance(one, TransferScan):
                self.transfers.update(one, now_ns)
        silent = silent_downloads(RUNTIME, self.transfers, self.demand, self.limits)
        blocked = blocked_pulls(RUNTIME, self.transfers, self.demand, silent, self.limits)
        self.findings = [*silent, *blocked, *failing_downloads(RUNTIME, self.transfers, self.limits)]
        self.ever.update({(one.cause.value, one.subject): one for one in self.confirmed})

    @property
    def confirmed(self) -> list[Finding]:
        return [one for one in self.findings if one.confirmed]

    @property
    def causes(self) -> set[str]:
        """The causes that were ever confirmed."""
        return {cause for cause, _ in self.ever}

    @property
    def downloads(self) -> tuple[Download, ...]:
        return self.transfers.of(RUNTIME)

    def watch(self, seconds: float, until: Callable[[], object] = lambda: False) -> bool:
        """Look once a second; True as soon as `until` is."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            self.look()
            if until():
                return True
            time.sleep(1.0)
        return False

    def find(self, cause: str, seconds: float = 30.0) -> Finding:
        """Look until a finding of this cause is confirmed.  Raises TimeoutError."""
        if not self.watch(seconds, lambda: any(one.cause.value == cause for one in self.confirmed)):
            raise TimeoutError(f"no {cause} within {seconds:g} s; {self.findings}")
        return next(one for one in self.confirmed if one.cause.value == cause)
