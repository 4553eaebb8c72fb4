"""core/transfer, feeding: which connection feeds which layer, and whether it stands still."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.downloading import inode, seen
from tests.core.network import LEAKED, MB, SECOND_NS, Network
from watchdog.core.download import Phase


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def network(request: pytest.FixtureRequest) -> Network:
    return Network(tls=request.param)


# --- what feeds what ----------------------------------------------------------------------


def test_one_layer_is_fed_by_its_connection(network: Network) -> None:
    layer = network.layer()
    network.tick(3)
    download = seen(network, layer)
    assert download.phase is Phase.RECEIVING and download.samples == 0
    assert download.connection is not None and download.connection.inode == inode(layer)
    assert download.rate == pytest.approx(5 * MB, rel=0.01)


def test_three_layers_at_different_rates_each_have_their_own(network: Network) -> None:
    layers = [network.layer(rate=rate * MB) for rate in (3, 4, 7)]
    network.tick(4)
    for layer in layers:
        connection = seen(network, layer).connection
        assert connection is not None and connection.inode == inode(layer)


def test_layers_that_stand_at_the_same_byte_are_certain_as_a_group(network: Network) -> None:
    layers = [network.layer() for _ in range(3)]
    network.tick(3)
    for layer in layers:
        layer.rate = 0
    network.tick(5)
    found = {seen(network, layer).connection.inode for layer in layers}  # type: ignore[union-attr]
    assert found == {inode(layer) for layer in layers}


def test_one_connection_too_many_that_fits_makes_nothing_certain(network: Network) -> None:
    layer = network.layer()
    network.tick(3)
    layer.rate = 0
    network.other(received=layer.size + 420)
    network.tick(2)
    assert seen(network, layer).phase is Phase.UNCLEAR and seen(network, layer).connection is None


def test_many_other_connections_do_not_disturb(network: Network) -> None:
    for number in range(60):
        network.other(received=number * 1000, remote="10.0.0.9:24224")
    layer = network.layer()
    network.tick(3)
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)


def test_connections_that_have_received_other_amounts_do_not_fit(network: Network) -> None:
    others = [network.other(received=size * MB) for size in (1, 3, 90)]
    layer = network.layer()
    network.tick(3)
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)
    assert not {one.sample.inode for one in others} & {one.inode for one in seen(network, layer).feed.fitting}


def test_a_layer_that_was_asked_for_again_keeps_apart_from_its_neighbours(network: Network) -> None:
    layers = [network.layer(rate=rate * MB) for rate in (3, 5)]
    network.tick(4)
    network.cut(layers[0])
    network.tick(12)
    for layer in layers:
        connection = seen(network, layer).connection
        assert connection is not None and connection.inode == inode(layer)


def test_a_connection_that_is_used_again_is_told_by_its_growth(network: Network) -> None:
    """Keep-alive, as of docker 29.4: it has received other layers before this one."""
    layer = network.layer(rate=0)
    assert layer.wire is not None
    layer.wire.receive(70 * MB, network.now_ns)
    network.tick()
    layer.rate = 5 * MB
    network.tick(3)
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)


def test_an_agent_that_comes_in_the_middle_finds_the_connection(network: Network) -> None:
    layer = network.layer()
    for _ in range(20):
        network._advance(layer, 1.0)
    layer.rate = 0
    network.tick(2)
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)


def test_between_attempts_nothing_feeds_it_though_a_twin_stands_at_the_same_byte(
    network: Network,
) -> None:
    one, twin = network.layer(), network.layer()
    network.tick(3)
    twin.rate = 0
    network.cut(one)
    one.rate = 0
    network.tick(2)
    assert seen(network, one).connection is None and seen(network, one).phase is Phase.BETWEEN
    connection = seen(network, twin).connection
    assert connection is not None and connection.inode == inode(twin)


def test_what_a_refused_resume_leaks_feeds_nothing(network: Network) -> None:
    layer = network.layer()
    network.tick(4)
    network.cut(layer)
    layer.rate = 0
    network.tick(7)
    network.refuse_range(layer)
    layer.rate = 5 * MB
    network.tick(14)
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)
    assert seen(network, layer).cut_backs == 1


def test_a_stall_at_the_size_of_what_was_leaked_is_told_by_the_unread_bytes() -> None:
    network = Network()
    layer = network.layer()
    network.tick(4)
    network.cut(layer)
    layer.rate = 0
    network.tick(7)
    network.refuse_range(layer)
    network.tick(11)
    layer.rate = LEAKED + 4096 - 420  # a second's worth, and then silence
    network.tick()
    layer.rate = 0
    network.tick(3)
    connection = seen(network, layer).connection
    assert connection is not None and connection.inode == inode(layer)


# --- stillness ----------------------------------------------------------------------------


def test_silence_counts_and_one_byte_ends_it(network: Network) -> None:
    layer = network.layer()
    network.tick(3)
    layer.rate = 0
    network.tick(6)
    assert seen(network, layer).samples == 6
    layer.rate = 1
    network.tick()
    assert seen(network, layer).samples == 0


def test_bytes_on_the_wire_alone_are_movement_too() -> None:
    network = Network(tls=True)
    layer = network.layer()
    network.tick(3)
    layer.rate = 0
    network.tick(3)
    assert layer.wire is not None
    layer.wire.receive(100, network.now_ns)  # a part of a TLS record: nothing reaches the file yet
    network.tick()
    assert seen(network, layer).samples == 0


def test_a_pause_of_the_machine_is_no_silence(network: Network) -> None:
    layer = network.layer()
    network.tick(3)
    layer.rate = 0
    network.tick(5)
    network.tick(seconds=3600)
    assert seen(network, layer).samples == 0
    network.tick()
    assert seen(network, layer).samples == 1


def test_a_late_look_within_three_ticks_goes_on_counting(network: Network) -> None:
    layer = network.layer()
    network.tick(3)
    layer.rate = 0
    network.tick(2)
    network.tick(seconds=2.5)
    assert seen(network, layer).samples == 3


# --- before the first byte -----------------------------------------------------------------


def test_a_layer_that_waits_for_its_first_byte_knows_its_request(network: Network) -> None:
    layer = network.layer(rate=0)
    network.tick(4)
    download = seen(network, layer)
    assert download.phase is Phase.WAITING and not download.contested
    assert [one.inode for one in download.waiting] == [inode(layer)]


def test_a_manifest_request_beside_it_contests_it(network: Network) -> None:
    layer = network.layer(rate=0)
    network.other()
    network.tick(4)
    assert seen(network, layer).contested


def test_a_connection_that_is_older_than_the_wait_contests_nothing(network: Network) -> None:
    for _ in range(3):
        network.other(remote="10.0.0.9:24224")  # a log driver that is never answered
    network.tick(10)
    layer = network.layer(rate=0)
    network.tick(4)
    assert not seen(network, layer).contested and len(seen(network, layer).waiting) == 1


# --- the end of a layer -------------------------------------------------------------------


def test_a_layer_that_is_complete_has_no_failed_attempt(network: Network) -> None:
    layer = network.layer(total=10 * MB)
    network.tick(2)
    assert layer.complete
    network.tick()
    assert network.transfers.of("docker") == ()
    assert network.transfers.finished["docker"] == (10 * MB,)


def test_another_daemon_begins_anew(network: Network) -> None:
    layer = network.layer()
    network.tick(3)
    scan = network.transfers.scans["docker"]
    later = type(scan)("docker", type(scan.daemon)(6000, 1), blobs=scan.blobs)
    network.transfers.update(later, network.now_ns + SECOND_NS)
    assert seen(network, layer).attempts == () and seen(network, layer).samples == 0


def test_a_write_between_two_looks_at_a_file_ends_no_download() -> None:
    """Size and position cannot be seen at one moment: 4584 bytes lay between them once."""
    network = Network()
    layer = network.layer()
    network.tick(3)
    scan = network.transfers.scans["docker"]
    grown = layer.size + MB
    (blob,) = scan.blobs
    torn = replace(blob, size_bytes=grown, position_bytes=grown - 4584)
    network.transfers.update(replace(scan, blobs=(torn,)), network.now_ns + SECOND_NS)
    (download,) = network.transfers.of("docker")
    assert download.began_ns < network.now_ns and len(download.attempts) == 1
    assert network.transfers.finished["docker"] == ()


def test_a_file_that_does_not_grow_and_is_read_has_come() -> None:
    network = Network()
    network.layer()
    network.tick(3)
    scan = network.transfers.scans["docker"]
    (blob,) = scan.blobs
    read = replace(blob, position_bytes=blob.size_bytes - 4584)
    network.transfers.update(replace(scan, blobs=(read,)), network.now_ns + SECOND_NS)
    assert network.transfers.of("docker") == ()
    assert network.transfers.finished["docker"] == (blob.size_bytes,)
