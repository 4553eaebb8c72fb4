"""Real commands against real files: a configuration of its own, and `python3 -m watchdog` on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from watchdog.config import Config, load
from watchdog.report.state import StateFile
from watchdog.report.vitals import Vitals

ROOT = Path(__file__).resolve().parents[2]
VITALS = Vitals(engine="libbpf", ledger_usable=True, metrics_address="127.0.0.1:9847")


@dataclass
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Host:
    """A run and a state directory, and commands on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run_dir, self.state_dir = home / "run", home / "state"
        self.file = home / "config.yaml"
        self.file.write_text(
            f"run_dir: {self.run_dir}\nstate_dir: {self.state_dir}\nmetrics: {{listen: off}}\n"
        )

    @property
    def config(self) -> Config:
        return load(self.file)

    def tell(self, tick, vitals=VITALS) -> Path:
        """What an agent (this process) would leave for `status`."""
        state = StateFile(self.config)
        state.observe(tick, vitals)
        return state.path

    def call(self, *words: str, env=None) -> Done:
        """Run `pull-watchdog WORDS -c FILE`."""
        return call(*words, "-c", str(self.file), env=env)


def call(*words: str, env=None, timeout_s: float = 60) -> Done:
    """Run `python3 -m watchdog` from the checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "watchdog", *words],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)
