"""A peer that falls silent, in mid-layer or before the first byte; and those that must not be touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.clients import Client
from tests.lab.images import MB, OTHER, TWIN_A, TWIN_B, Image, Layer, build
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx
from tests.lab.processes import wait_until
from tests.lab.proxy import BEFORE_HEAD, MANIFESTS, Ending, FaultProxy, Rule
from tests.lab.timeline import Timeline

STALLED_WITHIN_S = 40.0
LARGE = Image("large", (Layer(60, 200 * MB),))
THREE = Image("three", tuple(Layer(50 + n, 20 * MB) for n in range(3)))
STALL_BYTES = 20 * MB
SILENT = {"after_bytes": BEFORE_HEAD, "ending": Ending.STALL}
SOON = {"header_wait": 10}  # the field's 5 minutes, scaled down


@contextmanager
def scene(
    *images: Image, dockerd_options: Sequence[str] = (), **options: object
) -> Iterator[tuple[Lab, FaultProxy, Agent]]:
    """A dockerd, a fault proxy in front of its registry, and the agent in enforce mode."""
    with Lab(dockerd_options) as lab:
        for image in images:
            lab.registry.publish(image)
        with FaultProxy(lab) as proxy, Agent(lab, **options) as agent:
            yield lab, proxy, agent


def stall(**more: object) -> Rule:
    """Silence after 20 MB of a layer, the connection up."""
    rule = {"size_at_least": MB, "ending": Ending.STALL, "after_bytes": STALL_BYTES, "times": 1, **more}
    return Rule(**rule)  # type: ignore[arg-type]


def digest_of(image: Image) -> str:
    """Of its first layer."""
    return build(image).layers[0].digest


def stalled(proxy: FaultProxy, image: Image) -> None:
    """Wait until the proxy has fallen silent in a layer of the image."""
    wait_until(
        lambda: any(one.ending == "stalled" for one in proxy.layers(image)), "the peer falls silent", 60.0
    )


def healed(clock: Timeline, agent: Agent, cause: str, pull: Client) -> Measured:
    """The incident is confirmed and recovers, and the pull completes."""
    clock.mark_when("confirmed", lambda: _incident(agent, cause), deadline_s=90.0)
    clock.mark_when("image", lambda: not pull.running or None, deadline_s=90.0)
    check(pull.wait() == 0, f"the pull completes: {pull.output[-300:]}")
    agent.incident(cause, "recovered", deadline_s=20.0)
    return Measured({one: clock.between("silent", one) for one in ("confirmed", "image")})


def in_mid_layer(tls: bool) -> Measured:
    """Seen within 40 s, reset, and resumed at its very byte."""
    with scene(LARGE) as (lab, proxy, agent), ExitStack() as stack:
        proxy.rule(stall())
        front = Front(proxy.port, ("proxy_buffering off", "proxy_read_timeout 600s"), tls=True)
        peer = stack.enter_context(Nginx(lab, [front])) if tls else proxy
        pull = lab.client("pull", peer.reference(LARGE))
        stalled(proxy, LARGE)
        clock = Timeline()
        clock.mark("silent")
        measured = healed(clock, agent, "download_stalled", pull)
        confirmed = measured.seconds["confirmed"]
        check(confirmed <= STALLED_WITHIN_S, f"confirmed within {STALLED_WITHIN_S} s, not {confirmed:.1f}")
        first, resumed = proxy.layers(LARGE)
        check(resumed.range_from == STALL_BYTES, f"resumed at {resumed.range_from}, not {STALL_BYTES}")
        twice = first.sent_bytes + resumed.sent_bytes - build(LARGE).layers[0].size_bytes
        check(twice == 0, f"{twice} bytes were fetched twice")
        check(actions(agent) == ["reset_connection"], f"one reset: {actions(agent)}")
    return measured


def before_the_first_byte() -> Measured:
    """A layer's request without an answer is reset once, and the pull completes."""
    with scene(LARGE, thresholds=SOON) as (lab, proxy, agent):
        proxy.rule(Rule(path=digest_of(LARGE), times=1, **SILENT))  # type: ignore[arg-type]
        pull = lab.client("pull", proxy.reference(LARGE))
        wait_until(lambda: proxy.accesses(digest_of(LARGE)), "the layer is asked for")
        clock = Timeline()
        clock.mark("silent")
        return healed(clock, agent, "header_wait", pull)


def of_a_manifest() -> Measured:
    """Told, and not touched: a reset would end the pull."""
    with scene(LARGE, thresholds=SOON) as (lab, proxy, agent):
        proxy.rule(Rule(path=MANIFESTS, method="HEAD", **SILENT))  # type: ignore[arg-type]
        pull = lab.client("pull", proxy.reference(LARGE))
        incident = agent.incident("header_wait", "confirmed", deadline_s=60.0)
        check("manifest" in incident["hands_off"], f"told why: {incident['hands_off']}")
        return untouched(agent, pull)


def a_layer_beside_a_manifest() -> Measured:
    """Which request is the layer's is not certain: refused, with that reason."""
    with scene(LARGE, OTHER, thresholds=SOON) as (lab, proxy, agent):
        proxy.rule(
            Rule(path=digest_of(LARGE), **SILENT),  # type: ignore[arg-type]
            Rule(path=f"/{OTHER.repository}{MANIFESTS}", method="HEAD", **SILENT),  # type: ignore[arg-type]
        )
        pulls = [lab.client("pull", proxy.reference(image)) for image in (LARGE, OTHER)]
        incident = agent.incident("header_wait", "confirmed", deadline_s=60.0)
        check("manifest" in incident["hands_off"], f"told why: {incident['hands_off']}")
        return untouched(agent, *pulls)


def with_one_attempt() -> Measured:
    """max-download-attempts 1: a reset would be the end of the pull."""
    with scene(LARGE, dockerd_options=("--max-download-attempts=1",)) as (lab, proxy, agent):
        proxy.rule(stall(times=-1))
        pull = lab.client("pull", proxy.reference(LARGE))
        agent.incident("download_stalled", "confirmed", "gave_up", deadline_s=90.0)
        measured = untouched(agent, pull)
        check("attempt" in measured.seen, f"told why: {measured.seen}")
        return measured


def untouched(agent: Agent, *pulls: Client) -> Measured:
    """Nothing is done for some seconds, and nothing ended."""
    for _ in range(8):
        check(not actions(agent), f"no action: {actions(agent)}")
        check(all(one.running for one in pulls), "every pull still waits")
        time.sleep(1.0)
    incident = agent.incidents()[0]
    return Measured(seen=f"{incident['cause']}: {incident['next']}"[:160])


def holders_of_all_slots() -> Measured:
    """Three hung layers hold the slots: the waiting pull is named with its holders, and healed by them."""
    with scene(THREE, OTHER) as (lab, proxy, agent):
        proxy.rule(stall(path="/three/", after_bytes=5 * MB, times=3))
        first = lab.client("pull", proxy.reference(THREE))
        wait_until(lambda: [one.ending for one in proxy.layers(THREE)] == ["stalled"] * 3, "they stall", 60.0)
        time.sleep(5.0)  # who came in the same moment could own one of the downloads
        second = lab.client("pull", proxy.reference(OTHER))
        clock = Timeline()
        clock.mark("silent")
        clock.mark_when("queue_blocked", lambda: _incident(agent, "queue_blocked"), deadline_s=90.0)
        waiting = _incident(agent, "queue_blocked") or {}
        check(waiting["image"] == proxy.reference(OTHER), f"the waiting image is named: {waiting}")
        check(len(waiting["target"]["holders"]) == 3, f"its holders are named: {waiting['target']}")
        for pull in (first, second):
            check(pull.wait(90.0) == 0, f"the pull completes: {pull.output[-300:]}")
        clock.mark("images")
        check(set(actions(agent)) == {"reset_connection"}, f"only the holders were touched: {actions(agent)}")
    return Measured({one: clock.between("silent", one) for one in ("queue_blocked", "images")})


def holder_of_a_shared_layer() -> Measured:
    """Two images on one hung base layer: the later pull is named with its holder, and both arrive."""
    with scene(TWIN_A, TWIN_B) as (lab, proxy, agent):
        proxy.rule(stall(path=digest_of(TWIN_A), after_bytes=5 * MB))
        first = lab.client("pull", proxy.reference(TWIN_A))
        stalled(proxy, TWIN_A)
        time.sleep(5.0)
        second = lab.client("pull", proxy.reference(TWIN_B))
        clock = Timeline()
        clock.mark("silent")
        clock.mark_when("layer_locked", lambda: _incident(agent, "layer_locked"), deadline_s=90.0)
        waiting = _incident(agent, "layer_locked") or {}
        check(waiting["image"] == proxy.reference(TWIN_B), f"the waiting image is named: {waiting}")
        for pull in (first, second):
            check(pull.wait(90.0) == 0, f"the pull completes: {pull.output[-300:]}")
        clock.mark("images")
        check(actions(agent) == ["reset_connection"], f"only the holder was touched: {actions(agent)}")
    return Measured({one: clock.between("silent", one) for one in ("layer_locked", "images")})


def _incident(agent: Agent, cause: str) -> dict[str, object] | None:
    return next((one for one in agent.incidents() if one["cause"] == cause), None)


_TRIED: list[tuple[str, str, Callable[[], Measured]]] = [
    (
        "the peer goes silent after 20 MB of a 200 MB layer",
        "download_stalled within 40 s, reset_connection, resumed at its byte, nothing fetched twice",
        lambda: in_mid_layer(tls=False),
    ),
    ("the same behind TLS", "the same", lambda: in_mid_layer(tls=True)),
    (
        "silent before the first byte of a layer",
        "header_wait, reset, the pull completes",
        before_the_first_byte,
    ),
    ("silent on the manifest", "header_wait, told, not touched", of_a_manifest),
    ("silent on a layer, beside a silent manifest", "told, not touched", a_layer_beside_a_manifest),
    ("a silent layer, max-download-attempts 1", "told, not touched", with_one_attempt),
    (
        "three hung layers hold the slots, another image waits",
        "queue_blocked naming them; healing them frees it",
        holders_of_all_slots,
    ),
    (
        "two images share a layer that is silent, one came later",
        "layer_locked; healing the layer brings both",
        holder_of_a_shared_layer,
    ),
]
CASES = [Case(name, wanted, run) for name, wanted, run in _TRIED]
