"""sense/logs: lines leave redacted, and trouble is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdog.config import RuntimeConfig
from watchdog.core.observation import LogLine, SensorState
from watchdog.host.logfile import LogFile
from watchdog.sense.log_places import runtimes_own
from watchdog.sense.logs import ALIKE_MOST, LogSensor

SECOND_NS = 1_000_000_000


def test_lines_are_told_without_their_secrets(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", LogFile(path))
    assert sensor.read(0) == [SensorState("log.docker", True)]
    with path.open("a") as file:
        file.write('level=error msg="GET https://ann:secret@host/v2/"\nlevel=warning msg="i/o timeout"\n')
    assert sensor.read(0) == [
        LogLine("docker", 'level=error msg="GET https://[redacted]@host/v2/"'),
        LogLine("docker", 'level=warning msg="i/o timeout"'),
    ]


def test_a_missing_file_is_told_once_and_its_coming_as_well(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    sensor = LogSensor("docker", LogFile(path))
    (state,) = sensor.read(0)
    assert isinstance(state, SensorState) and not state.up and str(path) in state.detail
    assert sensor.read(1) == []
    path.write_text("level=error first\n")
    assert sensor.read(2) == [SensorState("log.docker", True), LogLine("docker", "level=error first")]


def test_the_cursor_goes_on_in_another_sensor(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.write_text("old\n")
    first = LogSensor("docker", LogFile(path))
    first.read(0)
    with path.open("a") as file:
        file.write("level=error while we were away\n")
    again = LogSensor("docker", LogFile(path, first.cursor()))
    assert LogLine("docker", "level=error while we were away") in again.read(0)


def test_the_cursor_survives_a_time_without_the_file(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.write_text("old\n")
    first = LogSensor("docker", LogFile(path))
    first.read(0)
    path.unlink()
    again = LogSensor("docker", LogFile(path, first.cursor()))
    again.read(0)
    assert again.cursor() == first.cursor()


def test_a_journal_without_a_service_is_said() -> None:
    follower = runtimes_own(RuntimeConfig(service=None), "")
    assert follower is not None
    (state,) = LogSensor("docker", follower).read(0)
    assert isinstance(state, SensorState) and not state.up and "service" in state.detail


def test_lines_that_were_skipped_are_said(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", LogFile(path))
    sensor.read(0)
    path.write_bytes(b"x" * 100 + b"\n" + (b"y" * 99 + b"\n") * 170_000)
    state = sensor.read(0)[0]
    assert isinstance(state, SensorState) and state.up and "were skipped" in state.detail


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('time="x" level=warning msg="failed to y"', True),
        ('{"level":"error","msg":"y"}', True),
        ('level=info msg="Download failed, retrying (1/5): unexpected EOF"', True),
        ('level=info msg="Attempting next endpoint for pull after error: manifest unknown"', True),
        ('level=debug msg="Calling POST /v1.41/images/create?fromImage=a&tag=1"', True),
        ("fatal error: concurrent map writes", True),
        ('level=debug msg="Calling GET /_ping"', False),
        ('level=info msg="API listen on /run/docker.sock"', False),
        ('time="x" level=warning msg="y"', False),
    ],
)
def test_only_lines_that_can_be_of_use_are_told(tmp_path: Path, line: str, told: bool) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", LogFile(path))
    sensor.read(0)
    path.write_text(line + "\n")
    assert sensor.read(1) == ([LogLine("docker", line)] if told else [])


def test_of_lines_that_are_alike_some_are_taken_and_the_rare_one_among_them(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", LogFile(path))
    sensor.read(0)
    flood = [f'level=error msg="{number:032x} failed: unexpected EOF"' for number in range(20_000)]
    rare = 'level=info msg="Download failed, retrying (2/5): unexpected EOF"'
    path.write_text("\n".join([*flood[:9_000], rare, *flood[9_000:]]) + "\n")
    told = sensor.read(SECOND_NS)
    assert LogLine("docker", rare) in told
    assert len(told) == ALIKE_MOST + 2
    assert told[0] == SensorState(
        "log.docker", True, "it is flooded; of lines that are alike only some are taken"
    )


def test_a_few_lines_that_are_alike_are_all_taken(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", LogFile(path))
    sensor.read(0)
    lines = [
        f'level=info msg="Download failed, retrying ({number}/5): unexpected EOF"' for number in range(6)
    ]
    path.write_text("\n".join(lines) + "\n")
    assert sensor.read(1) == [LogLine("docker", line) for line in lines]


def test_a_flood_is_over_after_a_minute_without_one(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", LogFile(path))
    sensor.read(0)
    path.write_text("level=error msg=failed\n" * (ALIKE_MOST + 1))
    assert "flooded" in sensor.read(SECOND_NS)[0].detail
    assert sensor.read(31 * SECOND_NS) == []
    assert sensor.read(62 * SECOND_NS) == [SensorState("log.docker", True)]
