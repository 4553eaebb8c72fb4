"""sense/clients, manifests and image_events: who pulls what, on a real dockerd."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from typing import Dict, List

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, spawn, wait_until  # noqa: F401  (fixture)
from tests.lab import clients as lab_clients
from tests.lab import faults
from tests.lab.faults import Fault, Form
from tests.lab.images import OTHER, SMALL, TWIN_A, TWIN_B
from tests.lab.lab import Lab
from tests.sense.conftest import only
from watchdog.core.observation import (
    Client,
    ClientScan,
    ImageEvent,
    ManifestSeen,
    ProcessKey,
    SensorState,
)
from watchdog.host import proc
from watchdog.sense.clients import ClientSensor
from watchdog.sense.image_events import ImageEventSensor
from watchdog.sense.manifests import ManifestSensor

pytestmark = pytest.mark.lab

SECOND_NS = 1_000_000_000
ASK_AND_WAIT = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"GET /events HTTP/1.0\\r\\n\\r\\n"); sys.stdin.read()
"""


def url(lab: Lab) -> str:
    return f"unix://{lab.dockerd.socket}"


def clients_of(lab: Lab) -> ClientSensor:
    sensor = ClientSensor("docker", url(lab))
    sensor.follow(proc.identify(lab.dockerd.pid))
    return sensor


def scan(sensor: ClientSensor, at_s: float = 0) -> Dict[int, Client]:
    return {one.key.pid: one for one in only(ClientScan, sensor.read(int(at_s * SECOND_NS))).clients}


def hang(lab: Lab) -> None:
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.PAUSE, after_bytes=1_000_000)


def appears(sensor: ClientSensor, client: lab_clients.Client) -> Client:
    wait_until(lambda: client.pid in scan(sensor))
    return scan(sensor)[client.pid]


def test_a_pull_is_named_and_gone_when_it_gives_up(lab: Lab) -> None:
    sensor = clients_of(lab)
    assert scan(sensor) == {}
    hang(lab)
    pull = lab.pull(SMALL)
    seen = appears(sensor, pull)
    assert (seen.verb, seen.image, seen.connected) == ("pull", lab.registry.reference(SMALL), True)
    with no_descriptor_kept():
        scan(sensor)
    pull.give_up()
    assert scan(sensor) == {}


def test_each_client_is_told_with_what_it_wants(lab: Lab) -> None:
    sensor = clients_of(lab)
    hang(lab)
    first, second = lab.pull(SMALL), lab.pull(SMALL)
    load, build = lab.load(OTHER), lab.build(OTHER)
    events = lab.client("events")
    verbs = {one.pid: appears(sensor, one).verb for one in (first, second, load, build, events)}
    assert list(verbs.values()) == ["pull", "pull", "load", "build", "other"]


def test_a_run_whose_image_is_not_there_pulls(lab: Lab) -> None:
    sensor = clients_of(lab)
    hang(lab)
    lab.registry.publish(SMALL)
    seen = appears(sensor, lab.client("run", "--rm", lab.registry.reference(SMALL), "true"))
    assert (seen.verb, seen.image) == ("pull", lab.registry.reference(SMALL))


def test_a_run_whose_image_is_there_does_not_pull(lab: Lab) -> None:
    sensor = clients_of(lab)
    lab.pull(SMALL).wait()
    with faults.stopped(lab.dockerd.pid):
        run = lab.client("run", "--rm", lab.registry.reference(SMALL), "true")
        time.sleep(0.3)
    seen = None
    while run.running and seen is None:
        seen = scan(sensor).get(run.pid)
    assert seen is not None and (seen.verb, seen.image) == ("other", lab.registry.reference(SMALL))


def test_a_user_of_the_api_is_told_without_an_image(lab: Lab, spawn: Spawn) -> None:  # noqa: F811
    sensor = clients_of(lab)
    child = spawn(sys.executable, "-c", ASK_AND_WAIT, str(lab.dockerd.socket), stdin=subprocess.PIPE)
    wait_until(lambda: child.pid in scan(sensor))
    assert scan(sensor)[child.pid] == Client(proc.identify(child.pid), "other", None, None, True)


def test_we_ourselves_are_no_client(lab: Lab) -> None:
    sensor = clients_of(lab)
    with socket.socket(socket.AF_UNIX) as own:
        own.connect(str(lab.dockerd.socket))
        own.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        own.settimeout(10)
        assert own.recv(1)
        assert scan(sensor) == {}


def test_a_client_of_another_dockerd_is_not_ours(lab: Lab) -> None:
    with Lab() as other:
        hang(other)
        pull = other.pull(SMALL)
        appears(clients_of(other), pull)
        assert scan(clients_of(lab)) == {}


def test_a_client_that_outlives_the_daemon_is_told_as_cut_off(lab: Lab) -> None:
    sensor = clients_of(lab)
    hang(lab)
    waiting = lab.client("run", "-d", "--restart", "always", lab.registry.reference(SMALL))
    events = lab.client("events")
    appears(sensor, events)
    lab.dockerd.kill()
    wait_until(lambda: all(not one.connected for one in scan(sensor).values()))
    sensor.follow(None)
    wait_until(lambda: not (waiting.running or events.running))
    assert scan(sensor) == {}


def test_what_cannot_be_looked_into_is_told(lab: Lab) -> None:
    sensor = ClientSensor("docker", url(lab))
    sensor.follow(ProcessKey(2**22 + 1, 1))
    assert scan(sensor) == {}


# --- manifests -----------------------------------------------------------------


def manifests(sensor: ManifestSensor) -> List[ManifestSeen]:
    return [one for one in sensor.read(0) if isinstance(one, ManifestSeen)]


def test_a_manifest_is_told_once_for_each_pull(lab: Lab) -> None:
    sensor = ManifestSensor("docker")
    assert sensor.read(0) == []
    lab.pull(OTHER).wait()
    sensor.follow(proc.identify(lab.dockerd.pid), str(lab.dockerd.data_root))
    wait_until(lambda: manifests(sensor) == [])
    hang(lab)
    lab.pull(TWIN_A)
    found: List[ManifestSeen] = []
    wait_until(lambda: found.extend(manifests(sensor)) or found)
    (first,) = found
    assert first.repositories == (lab.registry.reference(TWIN_A).rpartition(":")[0],)
    assert len(first.layers) == 2
    assert manifests(sensor) == []
    lab.pull(TWIN_B)
    wait_until(lambda: found.extend(manifests(sensor)) or len(found) == 2)
    assert found[1].digest != first.digest and found[1].layers[0] == first.layers[0]


def test_what_an_earlier_daemon_left_in_the_store_is_not_told(lab: Lab) -> None:
    sensor = ManifestSensor("docker")
    sensor.follow(proc.identify(lab.dockerd.pid), str(lab.dockerd.data_root))
    hang(lab)
    lab.pull(SMALL)
    wait_until(lambda: manifests(sensor))
    lab.dockerd.kill()
    time.sleep(1.5)  # a start is known to the second
    lab.dockerd.start()
    again = ManifestSensor("docker")
    again.follow(proc.identify(lab.dockerd.pid), str(lab.dockerd.data_root))
    assert manifests(again) == []


def test_a_store_that_is_not_there_is_told(lab: Lab) -> None:
    sensor = ManifestSensor("docker")
    sensor.follow(proc.identify(lab.dockerd.pid), str(lab.root / "elsewhere"))
    (state,) = sensor.read(0)
    assert isinstance(state, SensorState) and not state.up


# --- events ----------------------------------------------------------------------


def test_events_are_told_with_whole_references(lab: Lab) -> None:
    sensor = ImageEventSensor("docker", url(lab))
    assert sensor.read(0) == [] and sensor.fileno() is None
    sensor.follow(proc.identify(lab.dockerd.pid))
    assert sensor.read(0) == [SensorState("image_events.docker", True)]
    number = sensor.fileno()
    assert number is not None
    lab.pull(SMALL).wait()
    assert select.select([number], [], [], 10)[0]
    reference = lab.registry.reference(SMALL)
    assert sensor.read(SECOND_NS) == [ImageEvent("docker", "pull", reference)]
    lab.client("tag", reference, "copy").wait()
    select.select([number], [], [], 10)
    assert sensor.read(SECOND_NS) == [ImageEvent("docker", "tag", "docker.io/library/copy:latest")]
    sensor.close()


def test_the_stream_is_taken_up_again_after_a_restart(lab: Lab) -> None:
    sensor = ImageEventSensor("docker", url(lab))
    sensor.follow(proc.identify(lab.dockerd.pid))
    sensor.read(0)
    number = sensor.fileno()
    assert number is not None
    lab.dockerd.kill()
    assert select.select([number], [], [], 10)[0]
    (state,) = sensor.read(SECOND_NS)
    assert isinstance(state, SensorState) and not state.up
    assert sensor.read(2 * SECOND_NS) == []
    lab.dockerd.start()
    sensor.follow(proc.identify(lab.dockerd.pid))
    assert sensor.read(20 * SECOND_NS) == [SensorState("image_events.docker", True)]
    sensor.follow(None)
    with no_descriptor_kept():
        assert sensor.read(21 * SECOND_NS) == [] and sensor.fileno() is None
