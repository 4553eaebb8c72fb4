"""core/causes/queue: layer_locked and queue_blocked, and beside each what almost looks like it."""

from __future__ import annotations

from typing import List

from tests.core.downloading import LIMITS, about, confirmed, silent, stalled_layer
from tests.core.network import Network
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.causes.queue import blocked_pulls


def blocked(network: Network) -> List[Finding]:
    return blocked_pulls("docker", network.transfers, network.demand, silent(network), LIMITS)


def three_hung(network: Network) -> None:
    network.client("localhost:5000/a:1", layers=("1", "2", "3"))
    network.tick()
    layers = [network.layer() for _ in range(3)]
    network.tick(4)
    for layer in layers:
        layer.rate = 0
    network.tick(5)


def test_a_pull_behind_three_hung_layers_waits_in_the_queue() -> None:
    network = Network()
    three_hung(network)
    waiting = network.client("localhost:5000/b:1", layers=("9",))
    network.tick(40)
    (finding,) = blocked(network)
    assert finding.confirmed and finding.cause is Cause.QUEUE_BLOCKED
    assert (
        about(finding).client == waiting.client.key and len(about(finding).holders) == 3 and finding.hands_off
    )


def test_a_second_pull_of_a_hung_layer_is_locked() -> None:
    network = Network()
    network.client("localhost:5000/a:1", layers=("1", "2"))
    network.tick()
    stalled_layer(network, looks=5)
    waiting = network.client("localhost:5000/b:1", layers=("1",))
    network.tick(40)
    (finding,) = blocked(network)
    assert finding.confirmed and finding.cause is Cause.LAYER_LOCKED
    assert about(finding).client == waiting.client.key


def test_behind_two_hung_layers_there_is_a_slot() -> None:
    network = Network()
    network.client("localhost:5000/a:1", layers=("1", "2"))
    network.tick()
    stalled_layer(network, looks=0)
    stalled_layer(network, looks=5)
    network.client("localhost:5000/b:1", layers=("9",))
    network.tick(40)
    assert len(confirmed(silent(network))) == 2 and blocked(network) == []


def test_one_of_three_that_moves_lets_the_queue_move() -> None:
    network = Network()
    three_hung(network)
    network.client("localhost:5000/b:1", layers=("9",))
    network.layers[0].rate = 20_000
    network.tick(60)
    assert blocked(network) == []


def test_the_pull_whose_layers_hang_is_not_blocked_by_itself() -> None:
    network = Network()
    three_hung(network)
    network.tick(40)
    assert blocked(network) == []


def test_a_pull_that_waits_for_its_manifest_is_not_in_the_queue() -> None:
    network = Network()
    three_hung(network)
    network.client("localhost:5000/b:1")
    network.other()
    network.tick(40)
    assert blocked(network) == []
