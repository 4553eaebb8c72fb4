"""sense/operator: what people want is heard, and nothing is made up."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, Optional

import pytest

from watchdog.core.observation import OperatorSeen, SensorState
from watchdog.sense.operator import OperatorSensor, parse_pause

HOLD = """
import fcntl, sys
lock = open(sys.argv[1], "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sensor(tmp_path: Path) -> OperatorSensor:
    for name in ("state", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "lock").touch()
    return OperatorSensor(
        tmp_path / "state",
        tmp_path / "run",
        tmp_path / "etc-inhibit",
        locks=[tmp_path / "none", tmp_path / "lock"],
    )


@pytest.fixture
def package_manager(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def seen(sensor: OperatorSensor) -> Optional[OperatorSeen]:
    found = [one for one in sensor.read(0) if isinstance(one, OperatorSeen)]
    return found[0] if found else None


def test_nobody_wants_anything_and_that_is_told_once(sensor: OperatorSensor) -> None:
    assert seen(sensor) == OperatorSeen()
    assert sensor.read(0) == []


def test_a_pause_is_heard_and_its_end_as_well(sensor: OperatorSensor, tmp_path: Path) -> None:
    seen(sensor)
    pause = tmp_path / "state" / "pause.json"
    until_ns = time.time_ns() + 3600 * 10**9
    pause.write_text(json.dumps({"until_wall_ns": until_ns, "reason": "moving", "owner": "ann"}))
    assert seen(sensor) == OperatorSeen(until_ns, "moving")
    assert seen(sensor) is None
    pause.unlink()
    assert seen(sensor) == OperatorSeen()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"until_wall_ns": "soon"}', "\0\0\0"])
def test_a_damaged_pause_inhibits_and_says_so(sensor: OperatorSensor, tmp_path: Path, text: str) -> None:
    (tmp_path / "state" / "pause.json").write_text(text)
    state, told = sensor.read(0)
    assert isinstance(state, SensorState) and isinstance(told, OperatorSeen)
    assert (state.up, told.inhibited) == (False, True)
    assert "pause.json is damaged" in told.pause_reason
    (tmp_path / "state" / "pause.json").unlink()
    assert sensor.read(0) == [SensorState("operator", True), OperatorSeen()]


def test_a_pause_without_a_reason_is_a_pause() -> None:
    assert parse_pause('{"until_wall_ns": 5}').until_wall_ns == 5


@pytest.mark.parametrize(("place", "text", "reason"), [
    ("run/inhibit", "", "run/inhibit is there"),
    ("run/inhibit", "kernel upgrade\nmore\n", "run/inhibit: kernel upgrade"),
    ("etc-inhibit", "for good", "etc-inhibit: for good"),
])  # fmt: skip
def test_an_inhibit_file_inhibits(
    sensor: OperatorSensor, tmp_path: Path, place: str, text: str, reason: str
) -> None:
    (tmp_path / place).write_text(text)
    assert seen(sensor) == OperatorSeen(pause_reason=f"{tmp_path}/{reason}", inhibited=True)
    (tmp_path / place).unlink()
    assert seen(sensor) == OperatorSeen()


def test_a_file_beside_it_inhibits_nothing(sensor: OperatorSensor, tmp_path: Path) -> None:
    (tmp_path / "run" / "inhibit.old").touch()
    assert seen(sensor) == OperatorSeen()


def test_an_inhibit_that_cannot_be_read_inhibits(sensor: OperatorSensor, tmp_path: Path) -> None:
    (tmp_path / "run" / "inhibit").mkdir()
    told = seen(sensor)
    assert told is not None and told.inhibited


def test_a_running_package_manager_is_named(
    sensor: OperatorSensor, package_manager: subprocess.Popen[bytes]
) -> None:
    assert package_manager.stdin is not None
    comm = Path(f"/proc/{package_manager.pid}/comm").read_text().strip()
    assert seen(sensor) == OperatorSeen(package_manager=comm)
    package_manager.stdin.close()
    package_manager.wait(timeout=10)
    assert seen(sensor) == OperatorSeen()


def test_a_lock_file_that_nobody_holds_is_no_package_manager(sensor: OperatorSensor, tmp_path: Path) -> None:
    with (tmp_path / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another kind of lock than theirs
        assert seen(sensor) == OperatorSeen()


def test_to_look_at_a_lock_does_not_take_it(sensor: OperatorSensor, tmp_path: Path) -> None:
    seen(sensor)
    code = "import fcntl,sys; fcntl.lockf(open(sys.argv[1],'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=True)
