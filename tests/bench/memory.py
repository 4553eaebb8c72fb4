"""Memory of the agent (PSS) by engine, with a bcc tool of the distribution beside it."""

from __future__ import annotations

import shutil
import subprocess
import time

from tests.bench.machine import pss_mb
from tests.host.bpf.engines import headers
from tests.lab.agent import Agent
from tests.lab.lab import Lab
from tests.lab.processes import end

BARS_MB = {"libbpf": 36.0, "bcc": 42.0}
JOURNAL = "/log/journal/"
SETTLE_S = 10.0


def main() -> bool:
    """Print each PSS; True when the bars hold."""
    print("memory, PSS after start, the journal reader's mapped files apart:")
    with Lab() as lab:
        held = [_measure(lab, engine, bar) for engine, bar in BARS_MB.items()]
    _peer()
    return all(held)


def _measure(lab: Lab, engine: str, bar: float) -> bool:
    agent = Agent(lab, mode="observe", engine=engine)
    try:
        agent.start(**headers())
    except RuntimeError as error:
        print(f"  agent, engine {engine:7} not available here: {str(error).splitlines()[-1]}")
        return True
    try:
        time.sleep(SETTLE_S)
        size = pss_mb(agent.pid, but=JOURNAL)
    finally:
        agent.stop()
    verdict = "holds" if size <= bar else "DOES NOT HOLD"
    print(f"  agent, engine {engine:7} {size:6.1f} MB  (at most {bar:.0f}: {verdict})")
    return size <= bar


def _peer() -> None:
    tool = shutil.which("execsnoop-bpfcc")
    if tool is None:
        print("  execsnoop-bpfcc        not installed, so not compared")
        return
    peer = subprocess.Popen([tool], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(SETTLE_S)
        if peer.poll() is not None:
            print("  execsnoop-bpfcc        did not start on this kernel, so not compared")
            return
        print(f"  execsnoop-bpfcc       {pss_mb(peer.pid):6.1f} MB")
    finally:
        end(peer)
