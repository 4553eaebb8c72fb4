"""Memory of the agent (PSS) by engine, with two bcc tools of the distribution beside it."""

from __future__ import annotations

import os
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
PEERS = ("exitsnoop-bpfcc", "tcpstates-bpfcc")  # each sees a part of it, by tracepoints as we do


def main() -> bool:
    """Print each PSS; True when the bars hold."""
    print("memory, PSS after start, the journal reader's mapped files apart:")
    with Lab() as lab:
        held = [_measure(lab, engine, bar) for engine, bar in BARS_MB.items()]
    for tool in PEERS:
        _peer(tool)
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


def _peer(tool: str) -> None:
    if shutil.which(tool) is None:
        print(f"  {tool:22} not installed, so not compared")
        return
    environment = {**os.environ, **headers()}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    peer = subprocess.Popen([tool], env=environment, **quiet)
    try:
        time.sleep(SETTLE_S)
        if peer.poll() is not None:
            print(f"  {tool:22} did not start on this kernel, so not compared")
            return
        print(f"  {tool:22} {pss_mb(peer.pid):6.1f} MB")
    finally:
        end(peer)
