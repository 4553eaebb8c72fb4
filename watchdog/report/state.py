"""RUN_DIR/state.json: what `status` shows, also when the agent or a disk hangs.

Law: written in one step to memory, when something changed and at least every
ten seconds, so that its age tells whether the agent is alive.  Everybody may
read it, so it holds no credentials.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Optional

from watchdog import __version__
from watchdog.config import Config
from watchdog.core.codec import to_plain
from watchdog.core.record import rfc3339
from watchdog.core.redaction import redact
from watchdog.core.tick import Tick
from watchdog.report.files import make_directory, write_whole
from watchdog.report.vitals import Vitals

SCHEMA = 1
FILE_NAME = "state.json"
AT_LEAST_EVERY_NS = 10 * 1_000_000_000


class StateFile:
    """Keeps the file up to date.  `problem` says why it cannot be written, or is empty."""

    def __init__(self, config: Config) -> None:
        self.path = config.run_dir / FILE_NAME
        self._ourselves = _ourselves(config)
        self._last: Optional[Dict[str, Any]] = None
        self._written_ns = 0
        self.problem = ""

    def observe(self, tick: Tick, vitals: Vitals) -> None:
        """Write the file if that tick changed anything, or if it is time."""
        content = {**self._ourselves, **_of_vitals(vitals), **_of_tick(tick)}
        now_ns = time.monotonic_ns()
        if content == self._last and now_ns - self._written_ns < AT_LEAST_EVERY_NS:
            return
        times = {"updated_at": rfc3339(time.time_ns()), "updated_monotonic_ns": now_ns}
        self._write(json.dumps({**content, **times}, indent=1))
        self._last, self._written_ns = content, now_ns

    def remove(self) -> None:
        """The agent ends in good order: nobody shall take the file for a living one."""
        self.path.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        try:
            make_directory(self.path.parent, 0o755)
            write_whole(self.path, redact(text).encode())
            self.problem = ""
        except OSError as error:
            self.problem = f"{self.path} cannot be written: {error.strerror}"


def _ourselves(config: Config) -> Dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "pid": os.getpid(),
        "start_ticks": start_ticks(os.getpid()),
        "started_at": rfc3339(time.time_ns()),
        "mode": config.policy.mode.value,
        "config": str(config.path) if config.path else None,
        "config_files": [str(file) for file in config.files],
        "state_dir": str(config.state_dir),
        "engine_wanted": config.engine.value,
    }


def _of_vitals(vitals: Vitals) -> Dict[str, Any]:
    return {
        "engine": vitals.engine,
        "engine_attempts": [{"engine": name, "detail": detail} for name, detail in vitals.engine_attempts],
        "kernel_events_lost": vitals.kernel_events_lost,
        "action_in_flight": vitals.action_in_flight,
        "ledger_usable": vitals.ledger_usable,
        "metrics": vitals.metrics_address,
        "dropped": dict(vitals.dropped),
        "configured_monotonic_ns": vitals.configured_ns,
        "reload_problem": vitals.reload_problem,
    }


def _of_tick(tick: Tick) -> Dict[str, Any]:
    return {
        "sentence": tick.sentence,
        "paused": tick.paused,
        "inhibited": tick.inhibited,
        "incidents": list(tick.incidents),
        "decisions": [to_plain(one) for one in tick.decisions],
        "pulls": [_whole(one) for one in tick.pulls],
        "stages": [_whole(one) for one in tick.stages],
        "runtimes": [_whole(one) for one in tick.runtimes],
        "sensors": [_whole(one) for one in tick.sensors],
        "budgets": [
            {"remedy": remedy, "cause": cause, "remaining": remaining}
            for remedy, cause, remaining in tick.budgets
        ],
    }


def _whole(record: Any) -> Dict[str, Any]:
    """All fields, also those at their default: readers of JSON expect the keys."""
    return {name: to_plain(value) for name, value in vars(record).items()}


def start_ticks(pid: int) -> Optional[int]:
    """When that process started (field 22 of its stat); None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat.rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
