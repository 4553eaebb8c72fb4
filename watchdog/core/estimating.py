"""How far a pull is: from its downloads, and from what its manifest says is still to come."""

from __future__ import annotations

from typing import Iterable, Optional, Sequence

from watchdog.core.demand import layers_of
from watchdog.core.download import Download
from watchdog.core.estimate import Estimate
from watchdog.core.pull import pull_clients
from watchdog.core.transfer import Transfers
from watchdog.core.world import World


def estimate_of(world: World, transfers: Transfers, runtime: str) -> Optional[Estimate]:
    """How far the pull of that runtime is; None while there is none, or several share the downloads."""
    clients = pull_clients(world, runtime)
    if len(clients) != 1 or not transfers.fresh(runtime, world.now_ns):
        return None
    layers = [size for _, size in layers_of(world, runtime, clients[0]) or ()]
    return estimate(transfers.of(runtime), transfers.finished.get(runtime, ()), layers)


def estimate(downloads: Iterable[Download], finished: Iterable[int], layer_bytes: Sequence[int]) -> Estimate:
    """How far one pull is whose layers have these sizes; () where they are not known.

    `downloads` are its files, `finished` the sizes of layers that came.  Nobody
    tells which layers were there before, so the end may come earlier than this.
    """
    found = list(downloads)
    done = sum(one.blob.size_bytes for one in found)
    done += sum(size for size in finished if size in layer_bytes)
    rate = sum(one.rate for one in found)
    total = sum(layer_bytes) or None
    left = None if total is None or rate <= 0 else round(max(0, total - done) / rate)
    slowest = min(found, key=lambda one: (one.rate, one.name)).name if found else ""
    return Estimate(done, total, round(rate), left, slowest)
