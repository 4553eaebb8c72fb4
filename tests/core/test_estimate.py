"""core/estimating: how far a pull is and how long it still takes, where that can be told."""

from __future__ import annotations

import pytest

from tests.core.network import MB, Network
from watchdog.core.estimating import estimate


def test_an_estimate_of_the_end() -> None:
    network = Network()
    network.layer(total=10 * MB, rate=5 * MB)
    slow = network.layer(total=100 * MB, rate=2 * MB)
    network.tick(6)
    found = estimate(
        network.transfers.of("docker"), network.transfers.finished["docker"], (10 * MB, 100 * MB)
    )
    assert (found.done_bytes, found.total_bytes, found.slowest) == (22 * MB, 110 * MB, slow.name)
    assert found.seconds_left == pytest.approx(44, abs=1)


def test_no_estimate_where_nothing_moves_or_the_size_is_unknown() -> None:
    network = Network()
    layer = network.layer()
    network.tick(3)
    assert estimate(network.transfers.of("docker"), (), ()).seconds_left is None
    layer.rate = 0
    network.tick(12)
    assert estimate(network.transfers.of("docker"), (), (200 * MB,)).seconds_left is None
