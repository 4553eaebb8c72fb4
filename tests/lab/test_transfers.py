"""Silent, cut and slow downloads of a real dockerd, as sensor, model and causes see them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.lab.images import MB, OTHER, SMALL, Image, Layer, build
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx
from tests.lab.proxy import BEFORE_HEAD, MANIFESTS, Ending, FaultProxy, Rule
from tests.lab.pull_through import PullThrough
from tests.lab.transfers import Sight
from watchdog.act.socket_destroy import destroy
from watchdog.core.causes.finding import Finding
from watchdog.core.policy import Thresholds

pytestmark = [pytest.mark.lab, pytest.mark.slow]

THREE = Image("three", tuple(Layer(50 + n, 20 * MB) for n in range(3)))
SIXTY = Image("sixty", (Layer(43, 60 * MB),))
SECOND_NS = 1_000_000_000


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    for image in (SMALL, OTHER, THREE, SIXTY):
        lab.registry.publish(image)
    with FaultProxy(lab) as running:
        yield running


def layer_rule(**what: object) -> Rule:
    """A rule for layers only: a config is a blob as well."""
    return Rule(size_at_least=MB, **what)  # type: ignore[arg-type]


def digest_of(image: Image) -> str:
    """Of its only layer."""
    return build(image).layers[0].digest


def reset(finding: Finding) -> None:
    assert finding.target.connection is not None and finding.target.connection.cookie is not None
    destroy(finding.target.connection.cookie, finding.target.connection.inode)


# --- silence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_stall_is_seen_and_the_reset_of_its_connection_loses_no_byte(
    lab: Lab, proxy: FaultProxy, tls: bool
) -> None:
    proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB, times=1, rate_bytes_per_s=5 * MB))
    front = Front(proxy.port, ("proxy_buffering off", "proxy_read_timeout 600s"), tls=True)
    with Nginx(lab, [front]) as nginx:
        pull = lab.client("pull", (nginx if tls else proxy).reference(SMALL))
        sight = Sight(lab)
        finding = sight.find("download_stalled")
        reset(finding)
        sight.watch(12.0, lambda: not pull.running)
        assert pull.wait() == 0, pull.output
    _, resumed = proxy.layers(SMALL)
    assert resumed.range_from == 5 * MB
    assert sight.causes == {"download_stalled"}


def test_three_layers_that_stall_at_the_same_byte_are_each_healed(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB, times=3))
    pull = lab.client("pull", proxy.reference(THREE))
    sight = Sight(lab)
    sight.watch(20.0, lambda: len(sight.confirmed) == 3)
    assert len({one.target.connection.cookie for one in sight.confirmed if one.target.connection}) == 3
    for finding in sight.confirmed:
        reset(finding)
    assert pull.wait() == 0, pull.output
    assert sum(one.sent_bytes for one in proxy.layers(THREE)) < 62 * MB


def test_before_the_first_byte_of_a_layer_its_request_is_certain(lab: Lab, proxy: FaultProxy) -> None:
    layer = digest_of(SMALL)
    proxy.rule(Rule(path=layer, after_bytes=BEFORE_HEAD, ending=Ending.STALL, times=1))
    pull = lab.client("pull", proxy.reference(SMALL))
    sight = Sight(lab)
    sight.client(pull.pid, proxy.reference(SMALL))
    finding = sight.find("header_wait")
    assert not finding.hands_off
    reset(finding)
    assert pull.wait() == 0, pull.output


def test_a_silent_manifest_is_told_and_not_to_be_touched(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(Rule(path=MANIFESTS, method="HEAD", after_bytes=BEFORE_HEAD, ending=Ending.STALL))
    pull = lab.client("pull", proxy.reference(SMALL))
    sight = Sight(lab)
    sight.client(pull.pid, proxy.reference(SMALL))
    finding = sight.find("header_wait")
    assert finding.blob is None and finding.hands_off


def test_a_silent_layer_beside_a_silent_manifest_is_not_to_be_touched(lab: Lab, proxy: FaultProxy) -> None:
    hung = {"after_bytes": BEFORE_HEAD, "ending": Ending.STALL}
    proxy.rule(
        Rule(path=digest_of(SMALL), **hung),  # type: ignore[arg-type]
        Rule(path=f"/{OTHER.repository}{MANIFESTS}", method="HEAD", **hung),  # type: ignore[arg-type]
    )
    sight = Sight(lab)
    for image in (SMALL, OTHER):
        pull = lab.client("pull", proxy.reference(image))
        sight.client(pull.pid, proxy.reference(image))
    finding = sight.find("header_wait")
    assert finding.target.connection is None and "manifest" in finding.hands_off


def test_a_pull_behind_three_hung_layers_waits_and_healing_them_frees_it(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(Rule(size_at_least=MB, path="/three/", ending=Ending.STALL, after_bytes=5 * MB, times=3))
    sight = Sight(lab)
    first = lab.client("pull", proxy.reference(THREE))
    sight.client(first.pid, proxy.reference(THREE), ("1", "2", "3"))
    sight.watch(10.0, lambda: len(sight.downloads) == 3)
    second = lab.client("pull", proxy.reference(OTHER))
    sight.client(second.pid, proxy.reference(OTHER), ("9",))
    finding = sight.find("queue_blocked")
    assert (
        finding.target.client is not None
        and finding.target.client.pid == second.pid
        and len(finding.target.holders) == 3
    )
    for one in sight.confirmed:
        if one.cause.value == "download_stalled":
            reset(one)
    assert first.wait() == 0 and second.wait() == 0


# --- left alone -----------------------------------------------------------------------------


def test_slow_and_late_layers_and_dozens_of_other_sockets_are_left_alone(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(rate_bytes_per_s=200_000, delay_s=3.0))
    pull = lab.client("pull", proxy.reference(SMALL))
    sight = Sight(lab)
    sight.client(pull.pid, proxy.reference(SMALL))
    with ExitStack() as stack:
        for _ in range(30):  # people who ask its registry, not it: sockets of another process
            stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
        sight.watch(12.0)
    assert sight.causes == set() and sight.downloads
    assert sight.downloads[0].rate == pytest.approx(200_000, rel=0.3)


# --- cuts -----------------------------------------------------------------------------------


def test_a_pull_through_cache_behind_a_read_timeout(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB))
    with ExitStack() as stack:
        nginx = stack.enter_context(Nginx(lab, [Front(proxy.port, ("proxy_read_timeout 6s",))]))
        cache = stack.enter_context(PullThrough(lab, nginx.port))
        lab.client("pull", cache.reference(SMALL))
        sight = Sight(lab, Thresholds())
        finding = sight.find("time_limit", 60.0)
    assert finding.target.limit is not None and finding.target.limit.value == pytest.approx(
        6 * SECOND_NS, rel=0.1
    )


def test_answers_that_end_after_the_same_bytes(lab: Lab, proxy: FaultProxy) -> None:
    rates = (6 * MB, MB, 2 * MB)  # ends that differ by less than four seconds would be a time limit too
    rules = (
        layer_rule(ending=Ending.CLOSE, after_bytes=12 * MB, rate_bytes_per_s=rate, times=1) for rate in rates
    )
    proxy.rule(*rules)
    lab.client("pull", proxy.reference(SIXTY))
    sight = Sight(lab, Thresholds())
    finding = sight.find("size_limit", 60.0)
    assert finding.target.limit is not None and finding.target.limit.value == pytest.approx(12 * MB, rel=0.1)
    assert "time_limit" not in sight.causes


def test_cuts_at_random_are_a_loop_and_the_pull_gets_through(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(
        layer_rule(
            ending=Ending.RESET, after_bytes=5 * MB, upto_bytes=19 * MB, rate_bytes_per_s=6 * MB, times=4
        )
    )
    pull = lab.client("pull", proxy.reference(SIXTY))
    sight = Sight(lab, Thresholds())
    sight.watch(90.0, lambda: not pull.running)
    assert pull.wait() == 0, pull.output
    assert sight.causes == {"reset_loop"}


def test_a_registry_that_ignores_ranges_is_named_at_its_first_refusal(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.RESET, after_bytes=5 * MB, ignore_range=True))
    lab.client("pull", proxy.reference(SMALL))
    sight = Sight(lab, Thresholds())
    finding = sight.find("range_unsupported", 20.0)
    assert any("expected HTTP 206" in one.text for one in finding.evidence)
