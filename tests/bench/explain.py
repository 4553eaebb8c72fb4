"""How fast `explain` is, that its memory is flat, and what following a log costs.

    /usr/bin/python3 tests/bench/explain.py [LINES]

Speed is lines a second of CPU time of the whole command, its start included.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.bench.log_mix import healthy_mix, look_alike_mix, only_symptoms  # noqa: E402

BAR_LINES_PER_S = 250_000
BAR_LIVE_US = 5.0
BAR_GROWTH_MB = 8.0


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    lines: int
    megabytes: float
    cpu_s: float
    peak_mb: float

    @property
    def speed(self) -> float:
        return self.lines / self.cpu_s

    def __str__(self) -> str:
        read = f"{self.lines:,} lines ({self.megabytes:.0f} MB) in {self.cpu_s:.2f} s CPU"
        return f"{self.speed:,.0f} lines/s of one core, {read}, peak RSS {self.peak_mb:.0f} MB"


def main(lines: int = 1_000_000) -> bool:
    """Print the numbers; True when the bars hold."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        short = _explain(path, healthy_mix(lines // 10), lines // 10)
        long = _explain(path, healthy_mix(lines), lines)
        as_json = _explain(path, healthy_mix(lines), lines, "--json")
        alike = _explain(path, look_alike_mix(lines // 4), lines // 4)
        live_us = _live_us(path, healthy_mix(50_000))
        flood_us = _live_us(path, only_symptoms(20_000))
    print(f"explain, 1 % symptoms: {long} (at least {BAR_LINES_PER_S:,}: {_verdict(_fast(long))})")
    print(f"explain, a tenth of it: {short} (memory is flat: {_verdict(_flat(short, long))})")
    print(f"explain --json: {as_json}")
    print(f"explain, 10 % look-alikes: {alike}")
    cheap = live_us < BAR_LIVE_US
    bar = f"below {BAR_LIVE_US:.0f}: {_verdict(cheap)}"
    print(f"following live: {live_us:.2f} us CPU a line ({bar})")
    print(f"following live, a flood of nothing but symptoms: {flood_us:.2f} us CPU a line")
    return _fast(long) and _flat(short, long) and cheap


def _explain(path: Path, mix: Iterator[str], lines: int, *options: str) -> Run:
    """Write the mix and run the command on it; its output goes nowhere."""
    with path.open("w") as file:
        file.writelines(mix)
    command = [sys.executable, "-m", "watchdog", "explain", str(path), *options]
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pid = os.posix_spawn(sys.executable, command, environment, file_actions=silent)
    _, _, usage = os.wait4(pid, 0)
    return Run(lines, path.stat().st_size / 1e6, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _live_us(path: Path, mix: Iterator[str]) -> float:
    """As the agent's sensor follows a file: read, sieved, thinned, redacted."""
    from watchdog.host.logfile import LogFile
    from watchdog.sense.logs import LogSensor

    lines = list(mix)
    path.write_text("")
    sensor = LogSensor("bench", LogFile(path))
    sensor.read(0)
    path.write_text("".join(lines))
    began = time.process_time()
    sensor.read(1)
    return (time.process_time() - began) / len(lines) * 1e6


def _fast(run: Run) -> bool:
    return run.speed >= BAR_LINES_PER_S


def _flat(short: Run, long: Run) -> bool:
    return long.peak_mb - short.peak_mb <= BAR_GROWTH_MB


def _verdict(holds: bool) -> str:
    return "holds" if holds else "DOES NOT HOLD"


if __name__ == "__main__":
    raise SystemExit(0 if main(*map(int, sys.argv[1:2])) else 1)
