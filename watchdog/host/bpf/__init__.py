"""Kernel events behind one seam: four engines, one shape of event.

    open_engine("auto") -> Opened(engine, attempts)

- libbpf: a prebuilt object with offsets from tracefs (prebuilt, library, tracefs)
- bcc: the same sources, compiled by a child that ends (bcc, bcc_child)
- proc_connector: the kernel's process events over netlink
- polling: /proc, now and then

The first two share tracepoints, ring and decode; the last two lineage.
"""

from __future__ import annotations

from watchdog.host.bpf.engine import Engine, Event, Sees
from watchdog.host.bpf.opening import Attempt, Opened, open_engine

__all__ = ["Attempt", "Engine", "Event", "Opened", "Sees", "open_engine"]
