"""A log that grows by 20,000 errors a second, followed by the agent beside a real dockerd.

The hang that happens meanwhile must be found, and so must the one line among
the others that matters; our own log must not grow with the flood.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import List

from tests.bench.log_mix import only_symptoms
from tests.bench.machine import cpu_ns, pss_mb
from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import hung
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab

LINES_PER_S = 20_000
PIECES_PER_S = 20
BAR_CONFIRMED_S = 15.0
BAR_OWN_LOG_LINES = 60
CALM_S = 10.0
RARE = '{}Z E1 1 x.go:1] "PullImage failed" err="toomanyrequests: pull rate limit" image="hub.example/a:1"\n'


class Flood(threading.Thread):
    """Writes errors to a file at a steady rate, until it is stopped."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        each = LINES_PER_S // PIECES_PER_S
        lines = list(only_symptoms(LINES_PER_S))
        self._pieces = ["".join(lines[at : at + each]).encode() for at in range(0, LINES_PER_S, each)]
        self._file = path.open("ab", buffering=0)
        self._over = threading.Event()
        self.written = 0
        self.rare: List[bytes] = []  # to be put among the others

    def run(self) -> None:
        began, count = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + count / PIECES_PER_S - time.monotonic())):
            piece = self._pieces[count % len(self._pieces)]
            middle = piece.find(b"\n", len(piece) // 2) + 1
            rare = b"".join(self.rare)
            self.rare.clear()
            self._file.write(piece[:middle] + rare + piece[middle:])
            self.written += LINES_PER_S // PIECES_PER_S
            count += 1

    def stop(self) -> None:
        self._over.set()
        self.join(10.0)
        self._file.close()


def main() -> bool:
    """Print what it cost and what was found; True when the bars hold."""
    with Lab() as lab:
        path = lab.root / "kubelet.log"
        path.touch()
        lab.unpigz.install(Form.BINARY)
        lab.registry.publish(images.SMALL)
        with Agent(lab, logs=[{"name": "kubelet", "file": str(path)}]) as agent:
            time.sleep(CALM_S)
            return _flooded(lab, agent, Flood(path))


def _flooded(lab: Lab, agent: Agent, flood: Flood) -> bool:
    lines, cpu, memory = _log_lines(agent), cpu_ns(agent.pid), pss_mb(agent.pid)
    began = time.monotonic()
    flood.start()
    try:
        time.sleep(CALM_S)
        lab.unpigz.arm(Fault.STOP, images.MB, runs=1)
        lab.pull(images.SMALL)
        hung(lab)
        hung_at = time.monotonic()
        flood.rare.append(RARE.format(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())).encode())
        agent.incident("decompressor_stopped", deadline_s=60.0)
        confirmed_s = time.monotonic() - hung_at
        limited = agent.incident("rate_limited", deadline_s=60.0)
        agent.incident("decompressor_stopped", "recovered", deadline_s=60.0)
        took_s = time.monotonic() - began
        share = (cpu_ns(agent.pid) - cpu) / 1e9 / took_s
        grown = pss_mb(agent.pid) - memory
    finally:
        flood.stop()
    own = _log_lines(agent) - lines
    heard = any("toomanyrequests" in one["text"] for one in limited["evidence"])
    quick, quiet = confirmed_s <= BAR_CONFIRMED_S, own <= BAR_OWN_LOG_LINES
    rate, each_us = flood.written / took_s, share * took_s / flood.written * 1e6
    print(f"a followed log that grows by {rate:,.0f} errors a second, for {took_s:.0f} s:")
    print(f"  a stopped unpigz was confirmed after {confirmed_s:.1f} s ({_bar(BAR_CONFIRMED_S, quick)})")
    print(f"  the one line that matters was found among the others ({_word(heard)})")
    print(f"  our own log grew by {own} lines ({_bar(BAR_OWN_LOG_LINES, quiet)})")
    print(f"  it took {share:.0%} of a core, {each_us:.1f} us a line; its PSS {memory:.1f} {grown:+.1f} MB")
    return quick and heard and quiet


def _bar(most: float, holds: bool) -> str:
    return f"at most {most:.0f}: {_word(holds)}"


def _log_lines(agent: Agent) -> int:
    return agent.log_text().count("\n")


def _word(holds: bool) -> str:
    return "holds" if holds else "DOES NOT HOLD"
