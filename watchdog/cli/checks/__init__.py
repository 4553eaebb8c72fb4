"""The checks of `doctor`, in the order in which they are told.

Law: a check looks and changes nothing.  Each runs in a child with a deadline,
so one that hangs costs only itself.
"""

from __future__ import annotations

from typing import Callable, Tuple

from watchdog.cli.checks import agent, host, p2p, probes, runtime
from watchdog.cli.checks.check import Check, Patient

Examine = Callable[[Patient], Check]

OF_HOST: Tuple[Tuple[str, Examine], ...] = (
    ("config", agent.config),
    ("rights", agent.rights),
    ("libraries", agent.libraries),
    ("agent", agent.running),
    ("action", agent.action),
    ("kernel", probes.kernel),
    ("tracefs", probes.tracefs),
    ("btf", probes.btf),
    ("libbpf", probes.libbpf),
    ("probe_object", probes.probe_object),
    ("bcc", probes.bcc),
    ("proc_connector", probes.proc_connector),
    ("engine", probes.engine),
    ("namespace", host.namespace),
    ("pressure", host.pressure),
    ("state_dir", agent.state_dir),
    ("run_dir", agent.run_dir),
    ("ledger", agent.ledger),
    ("metrics", agent.metrics),
    ("clock", agent.clock),
    ("package_manager", host.package_manager),
    ("rivals", host.rivals),
    ("logs", host.logs),
    ("harbors", host.harbors),
    ("p2p", p2p.p2p),
)

# Made for each runtime; their id is NAME.ID.
OF_RUNTIME: Tuple[Tuple[str, Examine], ...] = (
    ("api", runtime.api),
    ("process", runtime.process),
    ("sight", runtime.sight),
    ("data_root", runtime.data_root),
    ("live_restore", runtime.live_restore),
    ("decompressor", runtime.decompressor),
    ("log", runtime.log),
    ("service", host.service_manager),
)
