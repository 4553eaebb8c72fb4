"""The P2P client of this node: which one it is, and a key that it does not know."""

from __future__ import annotations

from watchdog.cli.checks.check import Check, Patient, ok, warn
from watchdog.host.p2p import P2pClient

_NONE = "no Dragonfly client is on this node"


def p2p(patient: Patient) -> Check:
    """Which generation, where it is configured, and by whom."""
    from watchdog.host import p2p as host

    wanted = patient.config.p2p
    if wanted is None:
        return ok("it is not looked for: p2p is off")
    client = host.find(wanted)
    if client is None:
        return ok(_NONE)
    product, seen = client.product, _described(client)
    if client.value(product.foreign) is not None:
        foreign, own = ".".join(product.foreign), ".".join(product.timeout)
        return warn(f"{seen}; {foreign} stands there, which it ignores without a word", f"write {own}")
    if client.process is None:
        return warn(f"{seen}; it does not run", "start it, or take it out of the runtime's mirrors")
    return ok(seen)


def _described(client: P2pClient) -> str:
    by = f", from {client.managed_by}" if client.managed_by else ""
    return f"Dragonfly {client.generation.value} at {client.address}, configured in {client.config}{by}"
