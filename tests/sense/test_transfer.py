"""sense/transfer: connections and download files of a real process, in one look."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import List, Tuple

import pytest

from tests.host.conftest import Spawn, spawn  # noqa: F401
from tests.host.loopback import listening
from watchdog.core.observation import Observation, ProcessKey, SensorState, TransferScan
from watchdog.host.proc import identify
from watchdog.sense.transfer import TransferSensor

SECOND_NS = 1_000_000_000

# A runtime in small: a download file with 5000 bytes, and connections to a port.
RUNTIME = """
import socket, sys
folder, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
blob = open(folder + "/GetImageBlob77", "w+b")
blob.write(bytes(5000)); blob.flush()
kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
print("ready", flush=True)
sys.stdin.read()
"""


def runtime(start: Spawn, folder: Path, port: int, count: int) -> Tuple[subprocess.Popen[bytes], ProcessKey]:
    child = start(
        *("/usr/bin/python3", "-c", RUNTIME, str(folder), str(port), str(count)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None and child.stdout.readline() == b"ready\n"
    return child, identify(child.pid)


def scan_of(seen: List[Observation]) -> TransferScan:
    (scan,) = (one for one in seen if isinstance(one, TransferScan))
    return scan


def test_files_and_connections_are_seen_together(spawn: Spawn, tmp_path: Path) -> None:  # noqa: F811
    with listening() as listener:
        _, key = runtime(spawn, tmp_path, listener.getsockname()[1], 2)
        sensor = TransferSensor("docker")
        sensor.follow(key)
        scan = scan_of(sensor.read(time.monotonic_ns()))
    assert (scan.runtime, scan.daemon, scan.complete) == ("docker", key, True)
    assert [(one.name, one.size_bytes, one.position_bytes) for one in scan.blobs] == [
        ("GetImageBlob77", 5000, 5000)
    ]
    assert len(scan.connections) == 2 and all(one.cookie for one in scan.connections)


def test_silence_before_the_first_byte_is_timed_from_our_first_sight(spawn: Spawn, tmp_path: Path) -> None:  # noqa: F811
    with listening() as listener:
        _, key = runtime(spawn, tmp_path, listener.getsockname()[1], 1)
        peer = listener.accept()[0]
        sensor = TransferSensor("docker")
        sensor.follow(key)
        begin = 1000 * SECOND_NS
        looks = [scan_of(sensor.read(begin + n * SECOND_NS)).connections[0].silent_ns for n in range(3)]
        assert looks == [0, SECOND_NS, 2 * SECOND_NS]
        peer.sendall(b"x")
        time.sleep(0.05)
        silent = scan_of(sensor.read(begin + 9 * SECOND_NS)).connections[0].silent_ns
        assert silent is not None and silent < SECOND_NS  # from here on the kernel knows
        peer.close()


def test_a_runtime_that_ended_is_told_once_and_its_successor_is_seen(spawn: Spawn, tmp_path: Path) -> None:  # noqa: F811
    with listening() as listener:
        child, key = runtime(spawn, tmp_path, listener.getsockname()[1], 1)
        sensor = TransferSensor("docker")
        sensor.follow(key)
        sensor.read(1)
        child.kill()
        child.wait()
        told = [sensor.read(n) for n in (2, 3)]
        assert [type(one) for one in told[0]] == [SensorState] and told[1] == []
        _, later = runtime(spawn, tmp_path, listener.getsockname()[1], 1)
        sensor.follow(later)
        assert scan_of(sensor.read(4)).daemon == later


def test_without_a_runtime_nothing_is_said() -> None:
    sensor = TransferSensor("docker")
    assert sensor.read(1) == []


@pytest.mark.parametrize("count", [0, 40])
def test_a_runtime_without_a_download_is_not_active(spawn: Spawn, tmp_path: Path, count: int) -> None:  # noqa: F811
    with listening(backlog=64) as listener:
        code = RUNTIME.replace("blob", "none").replace("GetImageBlob77", "other")
        command = ("/usr/bin/python3", "-c", code, str(tmp_path), str(listener.getsockname()[1]), str(count))
        child = spawn(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        sensor = TransferSensor("docker")
        sensor.follow(identify(child.pid))
        scan = scan_of(sensor.read(1))
    assert scan.blobs == () and len(scan.connections) == count
