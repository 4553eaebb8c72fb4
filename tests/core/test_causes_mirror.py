"""core/causes/mirror: each failure of a mirror, and beside it what almost looks like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.mirroring import BAD, LIMITS, NEXT, ORIGIN, PEER, REFUSED, RETRY, URL, Node, entry
from tests.core.network import MB, SECOND_NS, Wire
from watchdog.core.causes.finding import Cause
from watchdog.core.causes.mirror import NO_COST
from watchdog.core.evidence import Kind
from watchdog.core.observation import (
    LedgerSeen,
    MirrorSeen,
    Outcome,
)

# --- silence ---------------------------------------------------------------------------------


def silent(node: Node, looks: int) -> Wire:
    node.pull()
    wire = node.asks()
    node.network.tick(looks)
    return wire


def test_a_manifest_that_is_not_answered() -> None:
    node = Node()
    silent(node, 2 * LIMITS.stalled + 1)

    (found,) = node.found()

    assert found.confirmed
    assert found.cause is Cause.MIRROR_FAILING
    assert found.target is not None
    assert (found.target.endpoint, found.target.reason) == (URL, "hangs")
    assert found.images == ("alpine:3",)
    assert {one.kind for one in found.evidence} == {Kind.SOCKET, Kind.PROCESS_STATE}
    assert found.hands_off == ""


def test_the_name_is_the_same_at_every_look() -> None:
    node = Node()
    silent(node, 10)
    first = node.found()[0].name
    node.asks()
    node.network.tick(10)

    assert node.found()[0].name == first


@pytest.mark.parametrize("looks", [1, 2 * LIMITS.stalled - 1])
def test_not_for_so_long_yet(looks: int) -> None:
    node = Node()
    silent(node, looks)

    assert node.confirmed is None


def test_a_layer_may_be_awaited_for_longer_than_a_manifest() -> None:
    """A mirror that fetches the whole layer first."""
    node = Node()
    node.pull()
    layer = node.network.layer(rate=0)
    assert layer.wire is not None
    layer.wire.sample = replace(layer.wire.sample, remote=PEER)
    node.network.tick(LIMITS.header_wait - 5)
    assert node.confirmed is None
    node.network.tick(10)

    assert node.confirmed == "hangs"
    assert {one.kind for one in node.found()[0].evidence} == {Kind.SOCKET, Kind.BLOB_FILE}


def test_nobody_waits_for_docker_io() -> None:
    node = Node()
    node.pull("registry.example/app:1")
    node.asks()
    node.network.tick(100)

    assert node.found() == []


def test_another_request_to_it_moves() -> None:
    node = Node()
    silent(node, 2)
    moving = node.asks(received=MB)
    for _ in range(100):
        moving.receive(1, node.network.now_ns)
        node.network.tick()

    assert node.found() == []


@pytest.mark.parametrize(
    "change", [{"receive_queue_bytes": 1}, {"state": 8}, {"remote": "10.0.0.8:5001"}, {"received_bytes": MB}]
)
def test_a_connection_that_is_no_unanswered_request_to_it(change: dict[str, object]) -> None:
    node = Node()
    wire = silent(node, 2)
    wire.sample = replace(wire.sample, **change)  # type: ignore[arg-type]
    node.network.tick(100)

    assert node.confirmed is None


def test_a_look_that_is_long_ago_says_nothing() -> None:
    node = Node()
    silent(node, 100)
    node.network.now_ns += 60 * SECOND_NS

    assert node.found() == []


def test_a_mirror_that_is_not_in_the_list_any_more() -> None:
    node = Node(mirrors=())
    silent(node, 100)

    assert node.found() == []


# --- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "refused", "reason"),
    [
        (f"dial tcp {PEER}: connect: connection refused", True, "refused"),
        (BAD, False, "5xx"),
        (f'Get "https://{PEER}/v2/": x509: certificate has expired', False, "tls"),
    ],
)
def test_layers_that_fail_again_and_again(error: str, refused: bool, reason: str) -> None:
    node = Node()
    node.pull()
    for attempt in range(1, LIMITS.cuts + 1):
        assert node.confirmed is None
        node.says(RETRY.format(attempt, error), refused=refused)

    assert node.confirmed == reason
    (found,) = node.found()
    assert found.hands_off == ""
    assert [one.kind for one in found.evidence] == [Kind.LOG, Kind.KERNEL_EVENT]
    told = RETRY.format(LIMITS.cuts, error)
    assert found.evidence[0].text == f"{LIMITS.cuts} requests to {URL} failed: {told}"


def test_a_mirror_that_is_silent_to_the_first_request_costs_15_seconds_a_pull() -> None:
    node = Node()
    for _ in range(LIMITS.cuts):
        node.says(
            NEXT.format(f'Get "{URL}v2/": net/http: request canceled (Client.Timeout exceeded)'),
            refused=False,
        )

    assert node.confirmed == "hangs"
    assert node.found()[0].hands_off == ""


@pytest.mark.parametrize(("error", "reason"), [(REFUSED, "refused"), (BAD, "5xx")])
def test_one_that_is_passed_over_at_once_is_told_only(error: str, reason: str) -> None:
    node = Node()
    for _ in range(LIMITS.cuts):
        node.says(NEXT.format(error), refused=reason == "refused")

    assert node.confirmed == reason
    assert node.found()[0].hands_off == NO_COST


def test_the_log_alone_confirms_nothing() -> None:
    node = Node()
    for attempt in range(1, 6):
        node.says(RETRY.format(attempt, f"dial tcp {PEER}: connect: connection refused"), dials="")

    assert node.confirmed is None


@pytest.mark.parametrize("dials", ["", ORIGIN])
def test_a_status_without_an_address_and_no_dial_to_the_mirror(dials: str) -> None:
    node = Node()
    for attempt in range(1, 6):
        node.says(RETRY.format(attempt, BAD), dials=dials, refused=False)

    assert node.found() == []


def test_a_status_without_an_address_while_another_registry_was_asked_too() -> None:
    node = Node()
    for attempt in range(1, 6):
        node.says(RETRY.format(attempt, BAD), refused=False, before=ORIGIN)

    assert node.found() == []


def test_the_origin_that_is_asked_next_speaks_for_the_mirrors_failure() -> None:
    node = Node()
    for _ in range(LIMITS.cuts):
        node.says(NEXT.format(BAD), refused=False)
        node.dial(ORIGIN, False, 1)
        node.network.tick(3)

    assert node.confirmed == "5xx"


@pytest.mark.parametrize(
    "text",
    [
        NEXT.format("manifest unknown: manifest unknown"),
        NEXT.format(f'Get "https://registry.example/v2/": dial tcp {ORIGIN}: connect: connection refused'),
        "Layer already exists",
    ],
)
def test_lines_that_are_not_about_a_failing_mirror(text: str) -> None:
    node = Node()
    for _ in range(5):
        node.says(text, refused=False)

    assert node.found() == []


def test_failures_of_long_ago_are_forgotten() -> None:
    node = Node()
    for attempt in range(1, 4):
        node.says(RETRY.format(attempt, f"dial tcp {PEER}: connect: connection refused"))
    assert node.confirmed == "refused"
    node.network.now_ns += 601 * SECOND_NS

    assert node.found() == []


def test_a_mirror_that_moves_bytes_again_does_not_fail() -> None:
    node = Node()
    for attempt in range(1, 4):
        node.says(RETRY.format(attempt, f"dial tcp {PEER}: connect: connection refused"))
    moving = node.asks(received=MB)
    node.network.tick()
    moving.receive(MB, node.network.now_ns)
    node.network.tick()

    assert node.found() == []


@pytest.mark.parametrize("image", ["mirror.lan:5001/app:1", f"{PEER}/app:1"])
def test_a_mirror_that_is_a_registry_of_its_own_is_not_touched(image: str) -> None:
    node = Node()
    node.pull(image)
    silent(node, 100)

    (found,) = node.found()

    assert found.confirmed
    assert image in found.hands_off


def test_a_mirror_on_this_machine_that_is_a_registry_too() -> None:
    node = Node()
    node.see(MirrorSeen("docker", URL, ("127.0.0.1:5001",)))
    node.pull("localhost:5001/app:1")
    node.pull()
    node.asks(remote="127.0.0.1:5001")
    node.network.tick(100)

    assert "localhost:5001/app:1" in node.found()[0].hands_off


def test_a_pull_from_another_registry_forbids_nothing() -> None:
    node = Node()
    node.pull("registry.example:5001/app:1")
    silent(node, 100)

    assert node.found()[0].hands_off == ""


def test_one_that_we_have_taken_out_is_not_looked_for() -> None:
    """Also while the runtime still tells the old list."""
    node = Node()
    silent(node, 100)
    assert node.confirmed == "hangs"
    node.see(LedgerSeen(True, (entry("a", "intent"),)))

    assert node.found() == []


def test_failures_before_it_came_back_do_not_count() -> None:
    node = Node()
    for attempt in range(1, 4):
        node.says(RETRY.format(attempt, f"dial tcp {PEER}: connect: connection refused"))
    back = entry("a", "revert", outcome=Outcome.DONE)
    node.see(LedgerSeen(True, (entry("a", "intent"), replace(back, wall_ns=node.world.wall_ns()))))
    assert node.found() == []
    for attempt in range(1, 4):
        node.says(RETRY.format(attempt, f"dial tcp {PEER}: connect: connection refused"))

    assert node.confirmed == "refused"
