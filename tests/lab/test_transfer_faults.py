"""The lab's network faults are what they say, on the real dockerd.

Each fault beside its healthy or differently ending twin.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.lab.images import MB, SMALL, Image, Layer
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx
from tests.lab.processes import wait_until
from tests.lab.proxy import ALWAYS, BEFORE_HEAD, MANIFESTS, Access, Ending, FaultProxy, Rule
from tests.lab.pull_through import PullThrough

pytestmark = [pytest.mark.lab, pytest.mark.slow]

TWO = Image("two", (Layer(41, 20 * MB), Layer(42, 20 * MB)))


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    lab.registry.publish(SMALL)
    with FaultProxy(lab) as running:
        yield running


def layer_rule(**what: object) -> Rule:
    """A rule for layers only: a config is a blob as well."""
    return Rule(size_at_least=MB, **what)  # type: ignore[arg-type]


def first(proxy: FaultProxy, ending: str) -> Access:
    """Wait until a layer's request has ended in that way."""
    return wait_until(
        lambda: next((one for one in proxy.layers(SMALL) if one.ending == ending), None),
        f"a layer's request that is {ending}",
        20.0,
    )


# --- healthy and slow ---------------------------------------------------------------


def test_without_rules_everything_passes(lab: Lab, proxy: FaultProxy) -> None:
    pull = lab.client("pull", proxy.reference(SMALL))
    assert pull.wait() == 0, pull.output
    assert [(one.range_from, one.status, one.ending) for one in proxy.layers(SMALL)] == [(None, 200, "none")]


def test_slow_is_a_rate_and_late_is_a_delay(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(rate_bytes_per_s=4 * MB, delay_s=1.0))
    pull = lab.client("pull", proxy.reference(SMALL))
    assert pull.wait() == 0, pull.output
    (access,) = proxy.layers(SMALL)
    assert 5.0 < access.seconds < 12.0


# --- silence ----------------------------------------------------------------------------


def test_a_stall_in_mid_layer_lasts_and_nothing_is_logged(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB))
    pull = lab.client("pull", proxy.reference(SMALL))
    first(proxy, "stalled")
    time.sleep(3.0)
    assert [blob.size_bytes for blob in lab.dockerd.blobs] == [5 * MB]
    assert pull.running and "retrying" not in lab.dockerd.log_text()


@pytest.mark.parametrize("path", ["/blobs/sha256:", MANIFESTS])
def test_silence_before_the_first_byte(lab: Lab, proxy: FaultProxy, path: str) -> None:
    what = {"method": "HEAD"} if path == MANIFESTS else {}  # what dockerd asks for first
    proxy.rule(Rule(path=path, after_bytes=BEFORE_HEAD, ending=Ending.STALL, **what))
    pull = lab.client("pull", proxy.reference(SMALL))
    wait_until(lambda: proxy.accesses(path, ("GET", "HEAD")), "the request")
    time.sleep(1.0)
    assert pull.running
    assert {blob.size_bytes for blob in lab.dockerd.blobs} <= {0}
    assert bool(lab.dockerd.blobs) is (path != MANIFESTS)


# --- ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "words"), [(Ending.RESET, "connection reset by peer"), (Ending.CLOSE, "unexpected EOF")]
)
def test_a_cut_is_resumed_at_its_byte(lab: Lab, proxy: FaultProxy, ending: Ending, words: str) -> None:
    proxy.rule(layer_rule(ending=ending, after_bytes=5 * MB, times=1))
    pull = lab.client("pull", proxy.reference(SMALL))
    assert pull.wait() == 0, pull.output
    begun, resumed = proxy.layers(SMALL)
    assert (begun.ending, begun.sent_bytes) == (ending.value, 5 * MB)
    assert resumed.range_from is not None and 4 * MB < resumed.range_from <= 5 * MB
    assert f"retrying (1/5): {words}" in lab.dockerd.log_text() or words in lab.dockerd.log_text()


def test_random_cuts_are_the_same_with_the_same_seed(lab: Lab, proxy: FaultProxy) -> None:
    cuts = []
    for _ in range(2):
        proxy.rule(layer_rule(ending=Ending.CLOSE, after_bytes=MB, upto_bytes=19 * MB, seed=7, times=1))
        before = len(proxy.layers(SMALL))
        pull = lab.client("pull", proxy.reference(SMALL))
        assert pull.wait() == 0, pull.output
        cuts.append(proxy.layers(SMALL)[before].sent_bytes)
        lab.dockerd.api.remove_image(proxy.reference(SMALL))
    assert cuts[0] == cuts[1] and MB <= cuts[0] <= 19 * MB


def test_a_time_limit_cuts_after_its_seconds(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.CLOSE, after_s=2.0, rate_bytes_per_s=3 * MB, times=1))
    lab.client("pull", proxy.reference(SMALL))
    cut = first(proxy, "close")
    assert 2.0 <= cut.seconds < 3.5 and cut.sent_bytes < 19 * MB


def test_a_registry_without_ranges_is_refused_by_dockerd(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(
        layer_rule(ending=Ending.CLOSE, after_bytes=5 * MB, times=1, ignore_range=True),
        layer_rule(ignore_range=True),
    )
    pull = lab.client("pull", proxy.reference(SMALL))
    assert pull.wait() == 0, pull.output
    begun, refused, again = proxy.layers(SMALL)
    assert (refused.status, again.range_from) == (200, None) and refused.range_from
    assert refused.ending is None, "dockerd leaks the connection of a refused resume"
    assert "expected HTTP 206 from byte range request" in lab.dockerd.log_text()


# --- answers ---------------------------------------------------------------------------------


def test_a_502_on_a_layer_is_tried_again_and_a_404_of_an_ingress_is_not(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(Rule(status=502))
    pull = lab.client("pull", proxy.reference(SMALL))
    words = "received unexpected HTTP status: 502"
    wait_until(lambda: words in lab.dockerd.log_text(), words, 20.0)
    assert pull.running
    pull.give_up()
    not_found = {"path": MANIFESTS, "status": 404, "body": "default backend - 404"}
    proxy.rule(Rule(method="HEAD", **not_found), Rule(**not_found))  # type: ignore[arg-type]
    pull = lab.client("pull", proxy.reference(SMALL))
    assert pull.wait() != 0 and "error parsing HTTP 404 response body" in pull.output


def test_a_push_passes_and_a_last_put_that_is_never_answered_hangs_it(lab: Lab, proxy: FaultProxy) -> None:
    assert lab.pull(SMALL).wait() == 0
    for repository in ("well", "hung"):
        target = f"localhost:{proxy.port}/{repository}:1"
        lab.dockerd.api.call("POST", f"/images/{lab.registry.reference(SMALL)}/tag?repo={target[:-2]}&tag=1")
        push = lab.client("push", target)
        if repository == "well":
            assert push.wait() == 0, push.output
            proxy.rule(Rule(path="/manifests/", method="PUT", after_bytes=BEFORE_HEAD, ending=Ending.STALL))
    wait_until(lambda: proxy.accesses("/hung/manifests/", ("PUT",)), "the last PUT")
    time.sleep(1.0)
    assert push.running


# --- nginx ---------------------------------------------------------------------------------


def test_tls_in_front_stalls_and_serves_the_same(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB, times=1))
    with Nginx(
        lab, [Front(proxy.port, ("proxy_buffering off", "proxy_read_timeout 600s"), tls=True)]
    ) as nginx:
        lab.client("pull", nginx.reference(SMALL))
        first(proxy, "stalled")
        wait_until(
            lambda: [one.size_bytes > 4 * MB for one in lab.dockerd.blobs] == [True], "the bytes are there"
        )
        assert "server gave HTTP response" not in lab.dockerd.log_text()
        lab.registry.publish(TWO)
        other = lab.client("pull", nginx.reference(TWO))
        assert other.wait() == 0, other.output


def test_nginx_read_timeout_is_a_gap_and_ends_with_a_fin(lab: Lab, proxy: FaultProxy) -> None:
    proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB, times=1))
    with Nginx(lab, [Front(proxy.port, ("proxy_read_timeout 3s",))]) as nginx:
        pull = lab.client("pull", nginx.reference(SMALL))
        stalled = first(proxy, "stalled")
        assert pull.wait() == 0, pull.output
    cut, resumed = (one for one in proxy.layers(SMALL))
    assert stalled.client_port == cut.client_port and 2.5 < cut.seconds < 5.0
    assert resumed.range_from is not None and 4.9 * MB < resumed.range_from <= 5 * MB
    assert "unexpected EOF" in lab.dockerd.log_text()
    assert "upstream timed out" in nginx.errors()


def test_nginx_with_a_small_temporary_file_and_a_slow_client_limits_bytes(lab: Lab) -> None:
    big = Image("sixty", (Layer(43, 60 * MB),))
    lab.registry.publish(big)
    buffers = ("proxy_max_temp_file_size 8m", "proxy_temp_file_write_size 64k", "proxy_read_timeout 60s")
    harbor = Front(lab.registry.port, ("send_timeout 2s", "proxy_buffering off"))
    with ExitStack() as stack:
        behind = stack.enter_context(Nginx(lab, [harbor], "harbor"))
        balancer = stack.enter_context(Nginx(lab, [Front(behind.port, buffers)], "balancer"))
        slow = stack.enter_context(FaultProxy(lab, balancer.port))
        slow.rule(layer_rule(rate_bytes_per_s=2 * MB))
        lab.client("pull", slow.reference(big))
        cut = wait_until(
            lambda: next((one for one in slow.layers(big) if one.ending is not None), None),
            "the answer is cut short",
            40.0,
        )
    assert 8 * MB < cut.sent_bytes < 30 * MB


def test_a_pull_through_cache_hides_its_upstream(lab: Lab, proxy: FaultProxy) -> None:
    with PullThrough(lab, proxy.port) as cache:
        pull = lab.client("pull", cache.reference(SMALL))
        assert pull.wait() == 0, pull.output
        assert len(proxy.layers(SMALL)) == 2, "a miss is fetched twice"
        proxy.rule(layer_rule(ending=Ending.STALL, after_bytes=5 * MB, times=ALWAYS))
        lab.registry.publish(TWO)
        lab.client("pull", cache.reference(TWO))
        wait_until(
            lambda: [one for one in proxy.layers(TWO) if one.ending == "stalled"], "the upstream stalls"
        )
        time.sleep(1.0)
        sizes = [one.size_bytes for one in lab.dockerd.blobs]
        assert sizes and all(size <= 5 * MB for size in sizes)
