"""What is seen and found of the downloads of a virtual dockerd, and a layer that falls silent."""

from __future__ import annotations

from typing import List, Optional

from tests.core.network import Layer, Network
from watchdog.core.causes.download import silent_downloads
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.demand import Demand
from watchdog.core.download import Download
from watchdog.core.policy import Thresholds
from watchdog.core.target import Target

LIMITS = Thresholds()


def silent(network: Network, demand: Optional[Demand] = None) -> List[Finding]:
    return silent_downloads("docker", network.transfers, demand or network.demand, LIMITS)


def about(finding: Finding) -> Target:
    assert finding.target is not None
    return finding.target


def confirmed(found: List[Finding]) -> List[Cause]:
    return [one.cause for one in found if one.confirmed]


def stalled_layer(network: Network, looks: int = 40) -> Layer:
    layer = network.layer()
    network.tick(4)
    layer.rate = 0
    network.tick(looks)
    return layer


def seen(network: Network, layer: Layer) -> Download:
    """A layer's download, as the core has made it out."""
    return network.transfers.downloads["docker"][layer.name]


def inode(layer: Layer) -> int:
    """Of the connection that feeds a layer now."""
    assert layer.wire is not None
    return layer.wire.sample.inode
