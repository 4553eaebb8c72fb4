"""Which Dragonfly client a node has: by its process, its configuration, its ports and its replies."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import List

import pytest

from tests.act.p2p_scene import P2pScene, pulling, trickle
from tests.lab.dragonfly import Dragonfly
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.sense.conftest import only
from watchdog.config_p2p import P2pConfig
from watchdog.core.dragonfly import Generation
from watchdog.core.observation import Api, Observation, P2pSeen, SensorState
from watchdog.host import p2p
from watchdog.sense.p2p import FIND_NS, P2pSensor

pytestmark = pytest.mark.lab
SECOND_NS = 1_000_000_000
GENERATIONS = ["v1", "v2_go", "v2_rust"]


@pytest.fixture
def quiet_lab() -> Iterator[Lab]:
    """A lab without a dockerd."""
    lab = Lab()
    try:
        yield lab
    finally:
        lab.stop()


def wanted(client: Dragonfly) -> P2pConfig:
    return P2pConfig(config=client.config)


def look(sensor: P2pSensor, now_ns: int = 0) -> P2pSeen:
    return only(P2pSeen, sensor.read(now_ns))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_generation_is_told_by_what_it_answers(quiet_lab: Lab, generation: str) -> None:
    with Dragonfly(quiet_lab, generation) as client:
        seen = look(P2pSensor(wanted(client)))
        assert (seen.generation, seen.address, seen.api) == (generation, client.address, Api.ANSWERS)
        assert seen.process is not None and seen.process.pid == client.pid
        assert seen.config == str(client.config) and seen.managed_by == ""
        assert seen.version == {"v1": "1.0.2", "v2_go": None, "v2_rust": "0.2.10"}[generation]
        assert seen.piece_timeout == {"v1": None, "v2_go": "2s", "v2_rust": "2s"}[generation]
        assert seen.tasks_failed == (None if generation == "v1" else 0)


def test_a_process_that_only_has_its_name_is_none(quiet_lab: Lab) -> None:
    """It listens elsewhere than the configuration says."""
    with Dragonfly(quiet_lab, "v2_rust") as client:
        text = client.config.read_text()
        client.config.write_text(text.replace(f"port: {client.port}", "port: 1"))
        seen = look(P2pSensor(wanted(client)))
        assert seen.process is None and seen.api is Api.REFUSED


def test_a_generation_that_the_operator_rules_out(quiet_lab: Lab) -> None:
    with Dragonfly(quiet_lab, "v2_rust") as client:
        sensor = P2pSensor(replace(wanted(client), generation=Generation.V1))
        assert look(sensor).process is None


def test_one_that_is_down_and_comes_up_again(quiet_lab: Lab) -> None:
    with Dragonfly(quiet_lab, "v2_rust") as client:
        sensor = P2pSensor(wanted(client))
        first = look(sensor)
        client.kill()
        down = look(sensor, SECOND_NS)
        assert (down.process, down.api, down.generation) == (None, Api.REFUSED, "v2_rust")
    with client:
        again = look(sensor, 2 * SECOND_NS)
        assert again.process not in (None, first.process) and again.api is Api.ANSWERS


def test_a_node_without_one_is_looked_at_twice_a_minute(quiet_lab: Lab) -> None:
    client = Dragonfly(quiet_lab, "v1")
    client.config.rename(client.config.with_suffix(".away"))
    sensor = P2pSensor(P2pConfig(config=client.config))
    assert kinds(sensor.read(0)) == [SensorState]
    client.config.with_suffix(".away").rename(client.config)
    assert sensor.read(SECOND_NS) == []
    assert look(sensor, FIND_NS).process is None


def kinds(seen: List[Observation]) -> List[type]:
    return [type(one) for one in seen]


def test_its_failed_tasks_are_counted(quiet_lab: Lab) -> None:
    with Dragonfly(quiet_lab, "v2_rust", timeout="500ms", piece_s=60, preheats=1) as client:
        sensor = P2pSensor(wanted(client))
        look(sensor)
        wait_until(lambda: (look(sensor, SECOND_NS).tasks_failed or 0) >= 1, "a piece has failed", 15.0)


def test_files_of_dragonfly_1_that_grow_are_seen(quiet_lab: Lab) -> None:
    with trickle(200_000) as registry, Dragonfly(quiet_lab, "v1", upstream_port=registry) as client:
        sensor = P2pSensor(wanted(client))
        assert look(sensor).stored_bytes == 0
        with supernode(client.supernode), socket.create_connection(("127.0.0.1", client.port)) as pull:
            pull.sendall(b"GET /v2/a/blobs/sha256:1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            first = wait_until(lambda: look(sensor, SECOND_NS).stored_bytes, "a file is written", 15.0)
            wait_until(lambda: (look(sensor, SECOND_NS).stored_bytes or 0) > first, "the file grows", 15.0)
        assert look(sensor, 2 * SECOND_NS).generation == "v1"


@pytest.mark.parametrize(("bytes_per_s", "moving"), [(20_000, True), (0, False)])
def test_whether_transfers_go_through_it(quiet_lab: Lab, bytes_per_s: int, moving: bool) -> None:
    with trickle(bytes_per_s) as registry, Dragonfly(quiet_lab, "v2_go", upstream_port=registry) as client:
        sensor = P2pSensor(wanted(client))
        assert look(sensor).moving is None  # one look shows no movement
        with pulling(P2pScene(quiet_lab, client)):
            look(sensor, SECOND_NS)
            time.sleep(2.0)  # as long as between two looks of the agent
            assert look(sensor, 3 * SECOND_NS).moving is moving


def supernode(port: int) -> socket.socket:
    """Something that listens, as a supernode does."""
    return socket.create_server(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("groups", "managed_by"),
    [
        ("0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-ab.scope\n", "kubernetes"),
        (f"12:pids:/kubepods/besteffort/pod1/{'a' * 64}\n", "kubernetes"),
        (f"0::/system.slice/docker-{'a' * 64}.scope\n", "container"),
        (f"4:memory:/docker/{'b' * 64}\n", "container"),
        ("0::/system.slice/dfdaemon.service\n", ""),
        ("0::/system.slice/docker-proxy.service\n", ""),
    ],
)
def test_who_manages_it_is_told_by_its_control_group(groups: str, managed_by: str, tmp_path: Path) -> None:
    assert p2p._managed_by(os.getpid(), groups, str(tmp_path / "none")) == managed_by


def test_a_config_map_is_told_by_its_links(tmp_path: Path) -> None:
    (tmp_path / "..2026_11_21").mkdir()
    (tmp_path / "..2026_11_21" / "dfdaemon.yaml").write_text("a: 1\n")
    (tmp_path / "..data").symlink_to("..2026_11_21")
    (tmp_path / "dfdaemon.yaml").symlink_to("..data/dfdaemon.yaml")
    plain = tmp_path / "plain.yaml"
    plain.write_text("a: 1\n")
    assert p2p._managed_by(os.getpid(), "0::/\n", str(tmp_path / "dfdaemon.yaml")) == "kubernetes"
    assert p2p._managed_by(os.getpid(), "0::/\n", str(plain)) == ""


METRICS = """\
# HELP dragonfly_client_download_task_failure_total Counter of the number of failed of the download task.
# TYPE dragonfly_client_download_task_failure_total counter
dragonfly_client_download_task_failure_total{app="",priority="6",tag="",type="d7y"} 3
dragonfly_client_download_task_failure_total{app="x",priority="3",tag="a b",type="d7y"} 2
dragonfly_client_download_traffic{task_type="d7y",type="BACK_TO_SOURCE"} 1.234e+06
go_goroutines 12
"""


def test_counters_are_summed_over_their_labels() -> None:
    assert p2p.parse_counters(METRICS, "dragonfly_client_") == {
        "download_task_failure_total": 5,
        "download_traffic": 1_234_000,
    }
    assert p2p.parse_counters("nonsense {} 3\n" * 3, "dragonfly_client_") == {}
