"""20,000 short-lived processes of strangers in some 5 s: is an event of ours lost?"""

from __future__ import annotations

import time
from contextlib import ExitStack

from tests.host.bpf.engines import Family, collect, ended, environment, headers, pids
from watchdog.errors import Unavailable
from watchdog.host.bpf import open_engine

UNRELATED = 20_000
RELEVANT = 211
DEADLINE_S = 60.0


def main() -> bool:
    """Print the losses of each engine that reports every event; True when there are none."""
    print(f"{UNRELATED} short-lived processes of strangers, {RELEVANT} of ours among them:")
    return all(_storm(name) for name in ("libbpf", "bcc", "proc_connector"))


def _storm(name: str) -> bool:
    with environment(**headers()):
        try:
            engine = open_engine(name).engine
        except Unavailable as error:
            print(f"  {name:15} not available here: {error}")
            return True
    with ExitStack() as stack:
        stack.callback(engine.close)
        storms = [stack.enter_context(Family(UNRELATED // 2)) for _ in range(2)]
        ours = stack.enter_context(Family(RELEVANT, pause_us=15_000))
        engine.watch(ours.pid)
        began = time.monotonic()
        for family in (*storms, ours):
            family.start()
        events = collect(engine, ended(ours.pid), DEADLINE_S)
        children = set(ours.finish())
        for storm in storms:
            storm.finish()
        took = time.monotonic() - began
    missing = len(children - pids(events, "fork")) + len(children - pids(events, "exit"))
    verdict = "holds" if missing == 0 and engine.dropped() == 0 else "DOES NOT HOLD"
    lost = f"{missing} births or deaths missing, {engine.dropped()} dropped"
    print(f"  {name:15} {lost}, in {took:.1f} s ({verdict})")
    return verdict == "holds"
