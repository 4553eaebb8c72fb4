"""The product under test: a configuration of its own, the process, and what it tells."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH, end, run, wait_until
from tests.lab.registry import free_port

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
SAMPLE = re.compile(r"(?P<series>[a-z_]\S*(?:\{.*\})?) (?P<value>\S+)")


class Agent:
    """One run of the agent beside a lab's dockerd; `options` go into its configuration as they are.

    `under`: a program that runs it in a `with` block, such as strace.
    """

    def __init__(self, lab: Lab, mode: str = "enforce", under: Sequence[str] = (), **options: Any) -> None:
        self.folder = lab.root / f"agent-{time.monotonic_ns()}"
        self.run_dir = self.folder / "run"
        self.state_dir = self.folder / "state"
        self.log = self.folder / "agent.log"
        self.config = self.folder / "config.yaml"
        self.port = free_port()
        self._under = under
        self._cell = lab.cell
        self._process: subprocess.Popen[bytes] | None = None
        for folder in (self.run_dir, self.state_dir):
            folder.mkdir(parents=True)
        self.configure({**self._defaults(lab, mode), **options})

    def _defaults(self, lab: Lab, mode: str) -> dict[str, Any]:
        dockerd = lab.dockerd
        runtime = {
            "kind": "docker",
            "name": "lab",
            "socket": f"unix://{dockerd.socket}",
            "restart": [str(dockerd.service), "restart"],
            "pidfile": str(dockerd.pidfile),
            "log": str(dockerd.log),
        }
        return {
            "mode": mode,
            "runtimes": [runtime],
            "metrics": {"listen": f"127.0.0.1:{self.port}"},
            "state_dir": str(self.state_dir),
            "run_dir": str(self.run_dir),
        }

    def configure(self, content: Mapping[str, Any]) -> None:
        """Write the configuration file; in force from the next start."""
        self.config.write_text(yaml.safe_dump(dict(content), sort_keys=False))

    def __enter__(self) -> Agent:
        """Start it, if it does not run yet."""
        if not self.running:
            self.start(self._under)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.args = (f"{error}; {self.last_words()}",)
        if self.running:
            self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the agent was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, under: Sequence[str] = (), record: Path | None = None, **variables: str) -> None:
        """Start it and wait for its first state file.  Raises RuntimeError with its log.

        `under`: a program that runs it, such as strace; `record`: where it records
        what it sees; `variables` are added to its environment.
        """
        state = self.run_dir / "state.json"
        state.unlink(missing_ok=True)
        environment = {"PATH": SYSTEM_PATH, "PYTHONDONTWRITEBYTECODE": "1", **variables}
        command = [*under, PYTHON, "-m", "watchdog", "run", "-c", str(self.config)]
        if record is not None:
            command += ["--record", str(record)]
        self._process = self._cell.spawn(command, "agent", self.log, environment, cwd=PROJECT)
        wait_until(lambda: state.exists() or not self.running, "the agent writes its state", 30.0)
        if not self.running:
            raise RuntimeError(f"the agent ended at its start: {self.log_text()[-2000:]}")

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._process is not None
        return end(self._process)

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10.0)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def command(self, *arguments: str, deadline_s: float = 30.0) -> str:
        """What one of its other commands prints, with this configuration."""
        chosen = [] if "replay" in arguments else ["-c", str(self.config)]
        call = [PYTHON, "-m", "watchdog", *arguments, *chosen]
        return run(*call, deadline_s=deadline_s, cwd=PROJECT)

    def status(self) -> str:
        """What `status` prints; its exit status 4 says that something hangs."""
        call = [PYTHON, "-m", "watchdog", "status", "-c", str(self.config)]
        told = subprocess.run(call, capture_output=True, text=True, timeout=30.0, cwd=PROJECT, check=False)
        if told.returncode not in (0, 4):
            raise RuntimeError(f"status ended with {told.returncode}: {told.stderr}")
        return told.stdout

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents that it has recorded, as `incidents --json` tells them."""
        listed: list[dict[str, Any]] = json.loads(self.command("incidents", "--json"))
        return listed

    def last_words(self) -> str:
        """What it has made of everything so far, for the message of a test that fails."""
        try:
            known = [(one["cause"], one["state"], one["next"], one["actions"]) for one in self.incidents()]
        except (RuntimeError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            return f"the agent cannot be asked: {error}"
        return f"the agent: {known or 'no incident'}"

    def incident(self, cause: str, *states: str, deadline_s: float = 60.0) -> dict[str, Any]:
        """Wait for an incident of this cause in one of these states (in any, if none is given)."""

        def find() -> dict[str, Any] | None:
            matching = (i for i in self.incidents() if i["cause"] == cause)
            return next((i for i in matching if not states or i["state"] in states), None)

        return wait_until(find, f"incident {cause} {' or '.join(states)}", deadline_s, every_s=0.5)

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by its name with its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10.0) as answer:
            lines = answer.read().decode().splitlines()
        samples = (SAMPLE.fullmatch(line) for line in lines if not line.startswith("#"))
        return {sample["series"]: float(sample["value"]) for sample in samples if sample}
