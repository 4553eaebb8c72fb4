"""core/causes/attempts: limits, loops and refused ranges, and beside each what almost looks like it."""

from __future__ import annotations

from typing import List

import pytest

from tests.core.downloading import LIMITS, about, confirmed
from tests.core.network import MB, SECOND_NS, Layer, Network
from watchdog.core.causes.attempts import failing_downloads
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Kind
from watchdog.core.limits import LimitKind


def failing(network: Network) -> List[Finding]:
    return failing_downloads("docker", network.transfers, LIMITS)


def cut_after(network: Network, layer: Layer, seconds: int, how: str = "fin", quiet: int = 0) -> None:
    """Cut the present attempt after so many looks, the last of them silent, and wait for the next."""
    network.tick(seconds - quiet)
    rate, layer.rate = layer.rate, 0
    network.tick(quiet)
    layer.rate = rate
    network.cut(layer, how)
    network.tick(layer.failures * 5)


@pytest.mark.parametrize("sees", [False, True])
def test_attempts_that_end_after_the_same_time_have_met_a_time_limit(sees: bool) -> None:
    network = Network(sees=sees)
    layer = network.layer(total=900 * MB)
    for rate in (5, 3, 8):
        layer.rate = rate * MB
        cut_after(network, layer, 10)
    (finding,) = failing(network)
    assert finding.confirmed and finding.cause is Cause.TIME_LIMIT and about(finding).limit is not None
    assert about(finding).limit.kind is LimitKind.TOTAL_TIME
    assert about(finding).limit.value == pytest.approx(10 * SECOND_NS, rel=0.1)


def test_attempts_that_end_after_the_same_silence_have_met_a_gap_limit() -> None:
    network = Network()
    layer = network.layer(total=900 * MB)
    for seconds in (35, 42):
        cut_after(network, layer, seconds, quiet=30)
    (finding,) = failing(network)
    assert finding.cause is Cause.TIME_LIMIT and about(finding).limit is not None
    assert about(finding).limit.kind is LimitKind.GAP
    assert about(finding).limit.value == pytest.approx(30 * SECOND_NS, rel=0.1)


def test_an_error_that_a_cache_appends_does_not_hide_the_silence() -> None:
    network = Network()
    layer = network.layer(total=900 * MB)
    for seconds in (35, 42):
        network.tick(seconds - 30)
        rate, layer.rate = layer.rate, 0
        network.tick(30)
        assert layer.wire is not None
        layer.wire.receive(70, network.now_ns)
        layer.size += 70
        network.look()
        layer.rate = rate
        network.cut(layer)
        network.tick(layer.failures * 5)
    (finding,) = failing(network)
    assert about(finding).limit is not None and about(finding).limit.kind is LimitKind.GAP
    assert about(finding).limit.value == pytest.approx(30 * SECOND_NS, rel=0.1)


def test_attempts_that_end_after_the_same_bytes_have_met_a_size_limit() -> None:
    network = Network()
    layer = network.layer(total=900 * MB)
    for rate, seconds in ((5, 12), (3, 20), (10, 6)):
        layer.rate = rate * MB
        cut_after(network, layer, seconds)
    (finding,) = failing(network)
    assert finding.confirmed and finding.cause is Cause.SIZE_LIMIT and about(finding).limit is not None
    assert about(finding).limit.value == pytest.approx(60 * MB, rel=0.1)


def test_resets_at_random_are_a_loop_and_no_limit() -> None:
    network = Network()
    layer = network.layer(total=900 * MB)
    for seconds in (3, 11, 6):
        cut_after(network, layer, seconds, "reset")
    (finding,) = failing(network)
    assert finding.confirmed and finding.cause is Cause.RESET_LOOP


def test_one_cut_is_weather() -> None:
    network = Network()
    cut_after(network, network.layer(), 5, "reset")
    assert confirmed(failing(network)) == []


def test_our_own_resets_are_no_loop() -> None:
    network = Network()
    layer = network.layer(total=900 * MB)
    for _ in range(3):
        cut_after(network, layer, 10, "ours")
    assert failing(network) == []


def test_layers_that_complete_are_no_cuts() -> None:
    network = Network()
    for _ in range(4):
        network.layer(total=20 * MB)
    network.tick(8)
    assert failing(network) == []


def test_layers_that_are_complete_and_not_read_yet_are_no_cuts() -> None:
    """For a moment dockerd has a whole layer, no connection, and has not gone back to its beginning."""
    network = Network()
    layers = [network.layer() for _ in range(3)]
    network.tick(5)
    for layer in layers:
        layer.wire = None
    network.tick()
    assert failing(network) == []


def test_a_registry_that_ignores_ranges_is_named_from_the_first_refusal() -> None:
    network = Network()
    layer = network.layer()
    network.tick(4)
    network.cut(layer, "reset")
    layer.rate = 0
    network.tick(6)
    assert confirmed(failing(network)) == []
    network.refuse_range(layer)
    network.tick(2)
    (finding,) = (one for one in failing(network) if one.confirmed)
    assert finding.cause is Cause.RANGE_UNSUPPORTED
    assert {Kind.LOG, Kind.BLOB_FILE} <= {one.kind for one in finding.evidence}


def test_a_refused_range_does_not_hide_the_limit_that_cuts_the_attempts_between() -> None:
    network = Network()
    layer = network.layer(total=900 * MB)
    for rate in (5, 3):
        layer.rate = rate * MB
        cut_after(network, layer, 10)
        layer.rate = 0
        network.refuse_range(layer)
        network.tick(layer.failures * 5)
    causes = confirmed(failing(network))
    assert sorted(one.value for one in causes) == ["range_unsupported", "time_limit"]


def test_a_resume_that_works_is_no_refusal() -> None:
    network = Network()
    layer = network.layer()
    network.tick(4)
    network.cut(layer, "reset")
    network.tick(10)
    assert confirmed(failing(network)) == []


def test_a_502_on_the_resume_throws_the_layer_away_too_but_is_no_refused_range() -> None:
    network = Network()
    layer = network.layer()
    network.tick(4)
    network.cut(layer, "reset")
    layer.rate = 0
    network.tick(6)
    layer.size = 0
    network.cut(layer, "502")
    network.tick(2)
    assert Cause.RANGE_UNSUPPORTED not in [one.cause for one in failing(network)]
