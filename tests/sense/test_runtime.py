"""sense/runtime: the runtime is found, followed through restarts, and never started or held up by us."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, spawn, wait_until  # noqa: F401  (fixture)
from tests.host.journald import unit_group  # noqa: F401  (fixture)
from tests.lab import faults, processes
from tests.lab.lab import Lab
from tests.sense.conftest import only
from watchdog.core.observation import Api, Observation, RuntimeSeen, SensorState, Sight
from watchdog.host.proc import identify
from watchdog.sense.runtime import RuntimeSensor
from watchdog.sense.whereabouts import Whereabouts

SECOND_NS = 1_000_000_000
LISTEN = """
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(5)
time.sleep(60)
"""


def sensor_of(lab: Lab, pidfile: bool = True) -> RuntimeSensor:
    where = lab.dockerd.pidfile if pidfile else None
    return RuntimeSensor("docker", "docker", f"unix://{lab.dockerd.socket}", pidfile=where)


def read(sensor: RuntimeSensor, at_s: float) -> RuntimeSeen:
    return only(RuntimeSeen, sensor.read(int(at_s * SECOND_NS)))


@pytest.mark.lab
@pytest.mark.parametrize("pidfile", [True, False])
def test_a_dockerd_is_found_and_tells_of_itself(lab: Lab, pidfile: bool) -> None:
    sensor = sensor_of(lab, pidfile)
    seen = read(sensor, 0)
    assert seen.process == identify(lab.dockerd.pid)
    assert seen.exe is not None and seen.exe.path == os.readlink(f"/proc/{lab.dockerd.pid}/exe")
    assert (seen.api, seen.sight, seen.detail) == (Api.ANSWERS, Sight.FULL, "")
    assert (seen.data_root, seen.storage_driver) == (str(lab.dockerd.data_root), "overlay2")
    assert (seen.live_restore, seen.containers_running, seen.swarm) == (False, 0, False)
    assert seen.version is not None and seen.version.startswith("2")


@pytest.mark.lab
def test_what_has_not_changed_is_repeated_every_30_s(lab: Lab) -> None:
    sensor = sensor_of(lab)
    first = read(sensor, 0)
    quiet = [sensor.read(at_s * SECOND_NS) for at_s in range(1, 30)]
    assert not any(quiet)
    assert read(sensor, 30) == first


@pytest.mark.lab
def test_a_restart_is_another_process_and_a_stop_is_none(lab: Lab) -> None:
    sensor, by_socket = sensor_of(lab), sensor_of(lab, pidfile=False)
    first = read(sensor, 0)
    assert read(by_socket, 0) == first
    lab.dockerd.restart()
    for one in (sensor, by_socket):
        seen = read(one, 1)
        assert seen.process == identify(lab.dockerd.pid) != first.process
        assert (seen.api, seen.sight) == (Api.ANSWERS, Sight.FULL)
    lab.dockerd.stop()
    for one in (sensor, by_socket):
        seen = read(one, 2)
        assert (seen.process, seen.api, seen.sight) == (None, Api.ABSENT, Sight.UNKNOWN)
        assert str(lab.dockerd.socket) in seen.detail
    lab.dockerd.start()
    assert read(sensor, 3).process == identify(lab.dockerd.pid)


@pytest.mark.lab
def test_a_stopped_dockerd_is_silent_is_asked_once_and_answers_again(lab: Lab) -> None:
    sensor = sensor_of(lab)
    read(sensor, 0)
    with faults.stopped(lab.dockerd.pid):
        seen = read(sensor, 6)
        assert (seen.api, seen.process) == (Api.SILENT, identify(lab.dockerd.pid))
        assert (seen.sight, seen.data_root) == (Sight.FULL, str(lab.dockerd.data_root))
        waiting = connections_of(lab)
        for at_s in range(7, 200):
            sensor.read(at_s * SECOND_NS)
        assert connections_of(lab) == waiting
    wait_until(lambda: identify(lab.dockerd.pid))
    assert read(sensor, 201).api is Api.ANSWERS


def connections_of(lab: Lab) -> int:
    """Connections that came in on the socket, accepted or not."""
    return Path("/proc/net/unix").read_text().count(f" {lab.dockerd.socket}\n")


@pytest.mark.lab
def test_a_killed_dockerd_is_gone_though_its_socket_file_is_there(lab: Lab) -> None:
    sensor = sensor_of(lab)
    read(sensor, 0)
    processes.kill(lab.dockerd.pid)
    seen = read(sensor, 1)
    assert lab.dockerd.socket.exists()
    assert (seen.process, seen.api) == (None, Api.REFUSED)


@pytest.mark.lab
def test_a_pidfile_that_names_somebody_else_does_not_mislead(lab: Lab, spawn: Spawn) -> None:  # noqa: F811
    stale = lab.root / "stale.pid"
    for text in (str(spawn("sleep", "60").pid), "", "rubbish", "0", str(2**22 + 1)):
        stale.write_text(text)
        sensor = RuntimeSensor("docker", "docker", f"unix://{lab.dockerd.socket}", pidfile=stale)
        assert read(sensor, 0).process == identify(lab.dockerd.pid)


@pytest.mark.lab
def test_nothing_is_kept_open(lab: Lab) -> None:
    sensor = sensor_of(lab)
    with no_descriptor_kept():
        for at_s in range(0, 300, 10):
            sensor.read(at_s * SECOND_NS)


@pytest.fixture
def activated(tmp_path: Path) -> Iterator[socket.socket]:
    """A listening socket that only a process named systemd holds, as before the first connection."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "docker.sock"))
        listening.listen(5)
        (tmp_path / "systemd").symlink_to("/bin/sleep")
        holder = subprocess.Popen([str(tmp_path / "systemd"), "60"], pass_fds=[listening.fileno()])
        duplicate = socket.socket(fileno=os.dup(listening.fileno()))
        listening.close()
        duplicate.close()
        yield listening
        holder.kill()
        holder.wait()


def test_a_socket_that_systemd_holds_is_not_connected_to(activated: socket.socket, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    seen = read(RuntimeSensor("docker", "docker", f"unix://{path}"), 0)
    assert (seen.process, seen.api) == (None, Api.REFUSED)
    assert (
        Path("/proc/net/unix").read_text().count(f" {path}\n") == 1
    )  # the listener, and nobody in its queue


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_a_runtime_in_a_container_is_nested(tmp_path: Path, spawn: Spawn) -> None:  # noqa: F811
    path = tmp_path / "docker.sock"
    unshare = ["unshare", "-n", "-p", "--fork", "--kill-child"]
    spawn(*unshare, sys.executable, "-c", LISTEN, str(path))
    wait_until(lambda: Whereabouts(str(path)).find())
    seen = read(RuntimeSensor("docker", "docker", f"unix://{path}"), 0)
    assert (seen.sight, seen.api) == (Sight.NESTED, Api.SILENT)
    assert seen.process is not None


def test_a_socket_without_a_runtime_is_absent(tmp_path: Path) -> None:
    seen = read(RuntimeSensor("docker", "docker", f"unix://{tmp_path}/none"), 0)
    assert (seen.process, seen.api, seen.sight) == (None, Api.ABSENT, Sight.UNKNOWN)


def test_a_remote_runtime_is_said_to_be_and_not_asked() -> None:
    seen = read(RuntimeSensor("far", "docker", "tcp://192.0.2.1:2375"), 0)
    assert (seen.sight, seen.process) == (Sight.REMOTE, None)
    assert "another host" in seen.detail


def test_a_sensor_says_once_that_it_is_up(tmp_path: Path) -> None:
    sensor = RuntimeSensor("docker", "docker", f"unix://{tmp_path}/none")
    first: Observation = sensor.read(0)[0]
    assert first == SensorState("runtime.docker", True)
    assert sensor.read(SECOND_NS) == []


def test_a_service_of_any_name_is_found_by_its_group(
    tmp_path: Path,
    spawn: Spawn,  # noqa: F811
    unit_group: Path,  # noqa: F811
) -> None:
    path = tmp_path / "docker.sock"
    child = spawn(sys.executable, "-c", LISTEN, str(path))
    (unit_group / "cgroup.procs").write_text(str(child.pid))
    wait_until(path.exists)
    where = Whereabouts(str(path), service=unit_group.name)
    wait_until(where.find)
    assert where.find() == identify(child.pid) and where.still(identify(child.pid))
    child.kill()
    child.wait()
    assert where.find() is None and not where.still(identify(os.getpid()))
