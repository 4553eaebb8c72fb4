"""Everybody who is told of a tick, in one place and in the right order.

Law: observers only.  The run directory's records come first, because an action
starts from them; whatever may block is done by the writer thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from watchdog.config import Config
from watchdog.core.observation import Frame
from watchdog.core.tick import Tick
from watchdog.report.cursors import Cursors
from watchdog.report.evidence import Evidence
from watchdog.report.incidents import IncidentStore
from watchdog.report.log import open_log
from watchdog.report.metrics import Metrics
from watchdog.report.metrics_server import MetricsServer
from watchdog.report.notify import ServiceManager
from watchdog.report.recording import Recording
from watchdog.report.state import StateFile
from watchdog.report.vitals import Vitals
from watchdog.report.writer import Writer

_QUEUE_JOBS = 500
_CLOSE_WITHIN_S = 2.0


class Reports:
    """Raises Unavailable when the metrics' address or the recording's file cannot be had."""

    def __init__(self, config: Config, record: Optional[Path] = None) -> None:
        self._writer = Writer("state", _QUEUE_JOBS)
        self.metrics = Metrics(config.policy)
        self._server: Optional[MetricsServer] = None
        if config.metrics is not None:
            self._server = MetricsServer(config.metrics, self.metrics.exposition)
        self._recording = Recording(record, self._writer) if record else None
        self.store = IncidentStore(config.run_dir, config.state_dir, self._writer)
        self.cursors = Cursors(config.state_dir, self._writer)
        self._evidence = Evidence(config.recording_frames, self.store, self._writer)
        self._state = StateFile(config)
        self._service = ServiceManager()
        self.log = open_log(config.log_format)
        self._problems: Dict[str, str] = {}

    @property
    def metrics_address(self) -> str:
        """HOST:PORT where the metrics are served, or ""."""
        return self._server.address if self._server else ""

    def dropped(self) -> Tuple[Tuple[str, int], ...]:
        """How much each queue did not take."""
        return (("state", self._writer.dropped), ("log", self.log.dropped))

    def adopt(self, records: List[Dict[str, Any]]) -> None:
        """Take over the incidents of an earlier agent."""
        self.store.adopt(records)

    def ready(self) -> None:
        """The agent is up."""
        self._service.ready()

    def observe(self, frame: Frame, tick: Tick, vitals: Vitals) -> None:
        """Tell everybody."""
        by_id = {record["id"]: record for record in tick.incidents}
        for name in tick.changed:
            self.store.keep(by_id[name])
        if self._recording is not None:
            self._recording.observe(frame)
        self._evidence.observe(frame, tick)
        self.log.observe(tick)
        self.metrics.observe(tick, vitals)
        self._state.observe(tick, vitals)
        self._service.alive(tick.sentence)
        self._tell_problems()

    def close(self, for_good: bool) -> None:
        """The agent ends in good order: `for_good`, or another one takes its place at once."""
        if self._server is not None:
            self._server.close()
        if for_good:
            self._service.stopping()
            self._state.remove()
        self._writer.close(_CLOSE_WITHIN_S)
        self.log.close(_CLOSE_WITHIN_S)

    def _tell_problems(self) -> None:
        recording = self._recording.problem if self._recording else ""
        problems = {
            "incidents": self.store.problem,
            "state": self._state.problem,
            "recording": recording,
            "disk": self._writer.last_error,
        }
        for name, problem in problems.items():
            if problem and problem != self._problems.get(name):
                self.log.say("cannot write", "warning", what=name, detail=problem)
        self._problems = problems
