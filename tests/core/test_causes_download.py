"""core/causes/{download,attempts,queue}: each cause, and beside it what almost looks like it."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

import pytest

from tests.core.network import MB, SECOND_NS, Layer, Network
from watchdog.core.causes.attempts import failing_downloads
from watchdog.core.causes.download import silent_downloads, target_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.causes.queue import blocked_pulls
from watchdog.core.demand import Demand, Waiting
from watchdog.core.evidence import Kind
from watchdog.core.limits import LimitKind
from watchdog.core.observation import Client, ProcessKey
from watchdog.core.policy import Thresholds
from watchdog.core.target import Target

LIMITS = Thresholds()


def silent(network: Network, demand: Optional[Demand] = None) -> List[Finding]:
    return silent_downloads("docker", network.transfers, demand or network.demand, LIMITS)


def failing(network: Network) -> List[Finding]:
    return failing_downloads("docker", network.transfers, LIMITS)


def blocked(network: Network) -> List[Finding]:
    return blocked_pulls("docker", network.transfers, network.demand, silent(network), LIMITS)


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


# --- layer_locked, queue_blocked -------------------------------------------------------------


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


# --- limits and loops -------------------------------------------------------------------------


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
