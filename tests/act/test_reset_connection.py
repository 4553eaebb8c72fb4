"""act/reset_connection: the one silent connection of a layer, on a real dockerd, and no other."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.act.entries import entry
from tests.act.scene import sample
from tests.lab.images import MB, OTHER, SMALL, Image, build
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.proxy import BEFORE_HEAD, MANIFESTS, Ending, FaultProxy, Rule
from watchdog.act.remedy import Context, Trace, memory_json
from watchdog.act.reset_connection import effect, plan, trace
from watchdog.act.settings import ActSettings
from watchdog.act.socket_destroy import destroy
from watchdog.config import RuntimeConfig
from watchdog.core.causes.finding import Cause
from watchdog.core.incident import Incident, State
from watchdog.core.observation import BlobSample, ConnectionSample, Outcome, TransferScan
from watchdog.core.target import Target, why_no_reset
from watchdog.errors import Refused
from watchdog.host import proc
from watchdog.host.proc import identify
from watchdog.sense.transfer import TransferSensor

pytestmark = pytest.mark.lab

Order = Callable[[Target], Context]

SILENCE_NS = 200_000_000
STALL = Rule(size_at_least=MB, ending=Ending.STALL, after_bytes=5 * MB, times=1)
SILENT = {"after_bytes": BEFORE_HEAD, "ending": Ending.STALL}


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    for image in (SMALL, OTHER):
        lab.registry.publish(image)
    with FaultProxy(lab) as running:
        yield running


@pytest.fixture
def order(lab: Lab, tmp_path: Path) -> Order:
    """What a remedy is given for an incident with this target."""
    runtime = RuntimeConfig(name="lab", socket=f"unix://{lab.dockerd.socket}", service=None)
    settings = ActSettings(state_dir=tmp_path, run_dir=tmp_path, runtime=runtime, silence_ns=SILENCE_NS)
    return lambda target: Context(settings, incident_of(lab, target), proc.boot_id(), time.time_ns())


def incident_of(lab: Lab, target: Target) -> Incident:
    """A download that stands still, as the agent would tell it."""
    daemon, now_ns = sample(lab.dockerd.pid), time.time_ns()
    cause, state = Cause.DOWNLOAD_STALLED, State.CONFIRMED
    return Incident("pw-1", "lab", cause, state, daemon, (), now_ns, now_ns, daemon=daemon, target=target)


def look(lab: Lab) -> TransferScan:
    sensor = TransferSensor("lab")
    sensor.follow(identify(lab.dockerd.pid))
    (scan,) = (one for one in sensor.read(time.monotonic_ns()) if isinstance(one, TransferScan))
    return scan


def target_of(lab: Lab, blob: BlobSample, connection: ConnectionSample, proxy: FaultProxy) -> Target:
    """What the incident of a first failure would say."""
    return Target(
        blob=blob,
        connection=connection,
        attempts=5,
        failures=0,
        resets=0,
        registry_ports=(proxy.port,),
    )


def hung(lab: Lab, proxy: FaultProxy, rule: Rule = STALL) -> Target:
    """A pull that stands still in its only layer."""
    proxy.rule(rule)
    lab.client("pull", proxy.reference(SMALL))
    path = digest_of(SMALL)
    wait_until(lambda: proxy.accesses(path), "the layer is asked for")
    wait_until(lambda: look(lab) if stands_still(lab) else None, "it stands still")
    scan = look(lab)
    (blob,), (connection,) = scan.blobs, scan.connections
    return target_of(lab, blob, connection, proxy)


def stands_still(lab: Lab) -> bool:
    before = look(lab)
    time.sleep(0.4)
    after = look(lab)
    return bool(after.connections) and before.blobs == after.blobs != ()


def digest_of(image: Image) -> str:
    return build(image).layers[0].digest


def test_the_layer_goes_on_at_its_byte(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy)
    intended = plan(order(target))
    assert "goes on at byte 5000000" in intended.steps[0]
    assert trace(order(target), intended.memory) is Trace.NONE
    made = effect(order(target), intended)
    assert made.outcome is Outcome.DONE
    assert trace(order(target), intended.memory) is Trace.MADE
    wait_until(lambda: lab.dockerd.api.has_image(proxy.reference(SMALL)), "the pull is through", 20.0)
    assert [one.range_from for one in proxy.layers(SMALL)] == [None, 5 * MB]


def test_it_is_not_done_twice(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy)
    intended = plan(order(target))
    effect(order(target), intended)
    with pytest.raises(Refused, match="gone"):
        effect(order(target), intended)
    with pytest.raises(Refused, match="gone"):
        plan(order(target))


def test_a_slow_layer_is_left_alone(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    proxy.rule(Rule(size_at_least=MB, rate_bytes_per_s=200_000))
    pull = lab.client("pull", proxy.reference(SMALL))
    wait_until(lambda: look(lab).blobs and look(lab).blobs[0].size_bytes > 0, "the first bytes")
    scan = look(lab)
    target = target_of(lab, scan.blobs[0], scan.connections[0], proxy)
    time.sleep(0.3)
    with pytest.raises(Refused, match="moves again"):
        plan(order(target))
    assert pull.running and look(lab).connections[0].cookie == scan.connections[0].cookie


def test_another_socket_than_the_one_that_was_seen_is_not_hit(
    lab: Lab, proxy: FaultProxy, order: Order
) -> None:
    target = hung(lab, proxy)
    assert target.connection.cookie is not None
    other = replace(target, connection=replace(target.connection, cookie=target.connection.cookie + 1))
    with pytest.raises(Refused, match="gone"):
        plan(order(other))
    assert look(lab).connections[0].cookie == target.connection.cookie


def test_a_socket_that_took_the_port_again_is_not_hit(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy)
    connection = target.connection
    assert connection is not None and connection.cookie is not None
    destroy(connection.cookie, connection.inode)
    host, _, port = connection.local.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((host.strip("[]"), int(port)))
        other.connect((host.strip("[]"), proxy.port))
        with pytest.raises(Refused, match="gone"):
            plan(order(target))
        assert other.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and other.getpeername()


def test_one_that_was_silent_for_a_moment_only_is_left_alone(
    lab: Lab, proxy: FaultProxy, order: Order
) -> None:
    """An incident may claim a stall; the kernel knows when the last byte came."""
    context = order(hung(lab, proxy))
    patient = replace(context, settings=replace(context.settings, silence_ns=60 * 10**9))
    with pytest.raises(Refused, match="no stall yet"):
        plan(patient)
    assert plan(context).memory.blob.startswith("GetImageBlob")


def test_resets_that_the_ledger_knows_count_whatever_the_incident_says(
    lab: Lab, proxy: FaultProxy, order: Order
) -> None:
    context = order(hung(lab, proxy))
    memory = memory_json(plan(context).memory)
    common = {"remedy": "reset_connection", "boot_id": proc.boot_id(), "detail_json": memory}
    three = tuple(entry(f"reset-{number}", "intent", **common) for number in range(3))
    plan(replace(context, entries=three[:2]))
    with pytest.raises(Refused, match="3 of 5 attempts have failed"):
        plan(replace(context, entries=three))
    refused = entry("reset-0", "result", **{**common, "outcome": Outcome.REFUSED})
    plan(replace(context, entries=(*three, refused)))


def test_the_runtime_s_own_number_of_attempts_counts(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy)
    with pytest.raises(Refused, match="4 of 5 attempts have failed"):
        plan(order(replace(target, attempts=1000, failures=4)))


@pytest.mark.parametrize(
    ("attempts", "failures", "allowed"),
    [
        (5, 0, True),
        (5, 2, True),
        (5, 3, False),
        (1, 0, False),
        (30, 27, True),
        (None, 0, True),
        (None, 1, False),
    ],
)
def test_a_reset_is_never_the_last_attempt(attempts: int, failures: int, allowed: bool) -> None:
    nothing = ConnectionSample(1, "127.0.0.1:1", "10.0.0.9:443", 1, 0, 0)
    target = Target(BlobSample("b", 1, 1), replace(nothing, received_bytes=MB), None, attempts, failures)
    assert why_no_reset(target) == "" if allowed else "attempt" in why_no_reset(target)


def test_before_the_first_byte_of_its_layer(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy, Rule(path=digest_of(SMALL), times=1, **SILENT))  # type: ignore[arg-type]
    effect(order(target), plan(order(target)))
    wait_until(lambda: lab.dockerd.api.has_image(proxy.reference(SMALL)), "the pull is through", 20.0)


def test_before_the_first_byte_of_a_proxy_on_this_machine(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy, Rule(path=digest_of(SMALL), times=1, **SILENT))  # type: ignore[arg-type]
    with pytest.raises(Refused, match="proxy on this machine"):
        plan(order(replace(target, registry_ports=())))
    with pytest.raises(Refused, match="once already"):
        plan(order(replace(target, resets=1)))


def test_beside_a_manifest_that_waits_nothing_is_reset(lab: Lab, proxy: FaultProxy, order: Order) -> None:
    target = hung(lab, proxy, Rule(path=digest_of(SMALL), **SILENT))  # type: ignore[arg-type]
    proxy.rule(Rule(path=f"/{OTHER.repository}{MANIFESTS}", method="HEAD", **SILENT))  # type: ignore[arg-type]
    other = lab.client("pull", proxy.reference(OTHER))
    wait_until(lambda: proxy.accesses(OTHER.repository, ("HEAD",)), "the manifest is asked for")
    with pytest.raises(Refused, match="manifest"):
        plan(order(target))
    assert other.running and len(look(lab).connections) == 2
