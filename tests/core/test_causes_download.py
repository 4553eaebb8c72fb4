"""core/causes/download: download_stalled and header_wait, and beside each what almost looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.downloading import about, confirmed, silent, stalled_layer
from tests.core.network import MB, Network
from watchdog.core.causes.download import target_of
from watchdog.core.causes.finding import Cause
from watchdog.core.demand import Waiting
from watchdog.core.evidence import Kind
from watchdog.core.observation import Client, ProcessKey

# --- download_stalled ----------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_a_peer_that_falls_silent_in_mid_layer_is_a_stall(tls: bool) -> None:
    network = Network(tls=tls)
    layer = stalled_layer(network)
    (finding,) = silent(network)
    assert finding.confirmed and finding.cause is Cause.DOWNLOAD_STALLED and not finding.hands_off
    assert about(finding).connection is not None and layer.wire is not None
    assert about(finding).connection.cookie == layer.wire.sample.cookie
    assert {one.kind for one in finding.evidence} == {Kind.SOCKET, Kind.BLOB_FILE}


def test_it_is_confirmed_within_forty_seconds_of_the_last_byte() -> None:
    network = Network()
    stalled_layer(network, looks=0)
    looks = 0
    while not confirmed(silent(network)):
        network.tick()
        looks += 1
    assert looks <= 40


def test_a_slow_layer_is_left_alone() -> None:
    network = Network()
    network.layer(rate=20_000)
    network.tick(300)
    assert confirmed(silent(network)) == []


def test_a_pause_of_twenty_five_seconds_is_left_alone() -> None:
    network = Network()
    layer = stalled_layer(network, looks=25)
    layer.rate = 5 * MB
    network.tick(2)
    assert silent(network) == []


def test_bytes_that_wait_here_unread_are_no_fault_of_the_peer() -> None:
    network = Network()
    layer = stalled_layer(network)
    assert layer.wire is not None
    layer.wire.sample = replace(layer.wire.sample, receive_queue_bytes=700_000)
    network.tick()
    assert silent(network) == []


def test_a_stall_whose_connection_is_not_certain_is_told_and_not_touched() -> None:
    network = Network()
    layer = stalled_layer(network)
    network.other(received=layer.size + 420)
    network.tick(2)
    (finding,) = silent(network)
    assert finding.confirmed and about(finding).connection is None and finding.hands_off


def test_idle_connections_without_a_layer_are_no_stall() -> None:
    network = Network()
    network.client()
    for size in (0, 5000, 3 * MB):
        network.other(received=size, remote="10.0.0.9:24224")
    network.tick(600)
    assert silent(network) == []


def test_the_back_off_between_two_attempts_is_no_stall() -> None:
    network = Network()
    layer = network.layer()
    network.tick(4)
    layer.failures = 19  # as with more attempts: a hundred seconds of back-off
    network.cut(layer)
    network.tick(60)
    assert silent(network) == []


def test_a_black_hole_is_told_from_a_host_that_answers_probes() -> None:
    network = Network()
    layer = stalled_layer(network)
    assert "probes" not in silent(network)[0].evidence[0].text
    assert layer.wire is not None
    layer.wire.sample = replace(layer.wire.sample, unanswered_probes=3)
    network.tick()
    assert "3 keep-alive probes were not answered" in silent(network)[0].evidence[0].text


# --- how many resets are left ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "failures", "left"), [(5, 0, 1), (5, 1, 2), (5, 2, 1), (5, 3, 0), (30, 3, 25), (1, 1, 0)]
)
def test_resets_left(attempts: int, failures: int, left: int) -> None:
    """Without a failure nobody has told the maximum yet: then it is one."""
    network = Network(attempts=attempts)
    layer = network.layer()
    network.tick(4)
    for _ in range(failures):
        network.cut(layer, "reset")
        network.tick(layer.failures * 5 + 2)
    layer.rate = 0
    network.tick(40)
    (download,) = network.transfers.of("docker")
    assert target_of(download).resets_left == left


def test_where_the_maximum_is_unknown_one_reset_is_all() -> None:
    network = Network(tells=False)
    layer = network.layer()
    network.tick(4)
    assert target_of(network.transfers.of("docker")[0]).resets_left == 1
    network.cut(layer, "ours")
    network.tick(9)
    assert target_of(network.transfers.of("docker")[0]).resets_left == 0


# --- header_wait ----------------------------------------------------------------------------


def test_a_layer_without_a_first_byte_is_a_header_wait() -> None:
    network = Network()
    network.client()
    layer = network.layer(rate=0)
    network.tick(310)
    (finding,) = silent(network)
    assert finding.confirmed and finding.cause is Cause.HEADER_WAIT and not finding.hands_off
    assert about(finding).connection is not None and layer.wire is not None
    assert about(finding).connection.cookie == layer.wire.sample.cookie and about(finding).resets_left == 1


def test_a_first_byte_after_three_minutes_is_none() -> None:
    network = Network()
    network.client()
    layer = network.layer(rate=0)
    network.tick(180)
    assert confirmed(silent(network)) == []
    layer.rate = 5 * MB
    network.tick(3)
    assert silent(network) == []


def test_it_takes_twice_as_long_after_a_reset_and_is_then_told_only() -> None:
    network = Network()
    network.client()
    layer = network.layer(rate=0)
    network.tick(310)
    network.cut(layer, "ours")
    network.tick(310)
    assert confirmed(silent(network)) == []
    network.tick(310)
    (finding,) = silent(network)
    assert finding.confirmed and about(finding).resets_left == 0


def test_with_a_manifest_that_waits_beside_it_nothing_is_touched() -> None:
    network = Network()
    network.client()
    network.layer(rate=0)
    network.other()
    network.tick(310)
    (finding,) = silent(network)
    assert finding.confirmed and about(finding).connection is None and "manifest" in finding.hands_off


def test_a_proxy_on_this_machine_is_never_reset_before_its_first_byte() -> None:
    network = Network(ports=(443,))  # the image is of another registry than the one that it comes from
    network.client("registry.example.com/big:1")
    network.layer(rate=0)
    network.tick(310)
    (finding,) = silent(network)
    assert finding.confirmed and "proxy on this machine" in finding.hands_off


def test_a_manifest_that_does_not_come_is_told() -> None:
    network = Network()
    network.client()
    network.other()
    network.tick(310)
    (finding,) = silent(network)
    assert finding.confirmed and finding.cause is Cause.HEADER_WAIT and finding.hands_off
    assert about(finding).blob is None


@pytest.mark.parametrize("what", ["nobody pulls", "another port", "older than the pull", "a push"])
def test_other_silent_connections_are_no_manifest(what: str) -> None:
    network = Network()
    if what not in ("nobody pulls", "older than the pull"):
        network.client()
    network.other(remote="10.0.0.9:24224" if what == "another port" else "127.0.0.1:5000")
    if what == "older than the pull":
        network.tick(20)
        network.client()
    network.tick(400)
    push = Waiting(Client(ProcessKey(9, 1), "push", "localhost:5000/big:1", connected=True), 0)
    demand = replace(network.demand, pushes=(push,) if what == "a push" else ())
    assert silent(network, demand) == []


def test_a_manifest_is_not_waited_for_while_layers_come() -> None:
    network = Network()
    network.client()
    network.other()
    network.layer(rate=20_000)
    network.tick(400)
    assert silent(network) == []
