"""sense/logs: lines leave redacted, and trouble is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdog.core.observation import LogLine, SensorState
from watchdog.sense.logs import LogSensor


def test_lines_are_told_without_their_secrets(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", str(path))
    assert sensor.read(0) == [SensorState("log.docker", True)]
    with path.open("a") as file:
        file.write('level=error msg="GET https://ann:secret@host/v2/"\nlevel=warning msg=plain\n')
    assert sensor.read(0) == [
        LogLine("docker", 'level=error msg="GET https://[redacted]@host/v2/"'),
        LogLine("docker", "level=warning msg=plain"),
    ]


def test_a_missing_file_is_told_once_and_its_coming_as_well(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    sensor = LogSensor("docker", str(path))
    (state,) = sensor.read(0)
    assert isinstance(state, SensorState) and not state.up and str(path) in state.detail
    assert sensor.read(1) == []
    path.write_text("level=error first\n")
    assert sensor.read(2) == [SensorState("log.docker", True), LogLine("docker", "level=error first")]


def test_the_cursor_goes_on_in_another_sensor(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.write_text("old\n")
    first = LogSensor("docker", str(path))
    first.read(0)
    with path.open("a") as file:
        file.write("level=error while we were away\n")
    again = LogSensor("docker", str(path), cursor=first.cursor())
    assert LogLine("docker", "level=error while we were away") in again.read(0)


def test_the_cursor_survives_a_time_without_the_file(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.write_text("old\n")
    first = LogSensor("docker", str(path))
    first.read(0)
    path.unlink()
    again = LogSensor("docker", str(path), cursor=first.cursor())
    again.read(0)
    assert again.cursor() == first.cursor()


def test_a_journal_without_a_service_is_said(tmp_path: Path) -> None:
    (state,) = LogSensor("docker", "journal").read(0)
    assert isinstance(state, SensorState) and not state.up and "service" in state.detail


def test_lines_that_were_skipped_are_said(tmp_path: Path) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", str(path))
    sensor.read(0)
    path.write_bytes(b"x" * 100 + b"\n" + (b"y" * 99 + b"\n") * 50_000)
    state = sensor.read(0)[0]
    assert isinstance(state, SensorState) and state.up and "were skipped" in state.detail


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('time="x" level=warning msg="y"', True),
        ('{"level":"error","msg":"y"}', True),
        ('level=info msg="Download failed, retrying (1/5): unexpected EOF"', True),
        ('level=info msg="Attempting next endpoint for pull after error: manifest unknown"', True),
        ('level=debug msg="Calling POST /v1.41/images/create?fromImage=a&tag=1"', True),
        ("fatal error: concurrent map writes", True),
        ('level=debug msg="Calling GET /_ping"', False),
        ('level=info msg="API listen on /run/docker.sock"', False),
        ('level=debug msg="the log level of errors"', False),
    ],
)
def test_only_lines_that_can_be_of_use_are_told(tmp_path: Path, line: str, told: bool) -> None:
    path = tmp_path / "docker.log"
    path.touch()
    sensor = LogSensor("docker", str(path))
    sensor.read(0)
    path.write_text(line + "\n")
    assert sensor.read(1) == ([LogLine("docker", line)] if told else [])
