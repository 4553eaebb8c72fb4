"""host/dockerd_settings: what is in force in a daemon, and what is only written in its file by now."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.host.conftest import Spawn, wait_until
from watchdog.core.observation import ProcessKey
from watchdog.host import birth, proc
from watchdog.host.dockerd_settings import DockerdSettings, option, read_settings

DEFAULTS = DockerdSettings(attempts=5, slots=3)
UNKNOWN = DockerdSettings()


def written(path: Path, attempts: int) -> Path:
    path.write_text(json.dumps({"max-download-attempts": attempts}))
    return path


def started(spawn: Spawn, config: Path, *more: str) -> ProcessKey:
    """A process with the arguments of a dockerd."""
    words = ("/usr/bin/python3", "-c", "input()", f"--config-file={config}", *more)
    key = proc.identify(spawn(*words, stdin=-1).pid)
    wait_until(lambda: birth.arguments(key)[-1:] == words[-1:])
    time.sleep(0.05)  # the clock tick of its birth is over
    return key


def test_a_file_that_is_older_than_the_process_is_in_force(spawn: Spawn, tmp_path: Path) -> None:
    config = written(tmp_path / "daemon.json", 9)
    assert read_settings(started(spawn, config)) == DockerdSettings(attempts=9, slots=3)


def test_an_older_file_that_was_moved_into_place_since_is_not(spawn: Spawn, tmp_path: Path) -> None:
    config, other = written(tmp_path / "daemon.json", 9), written(tmp_path / "other.json", 2)
    os.utime(other, (1, 1))
    daemon = started(spawn, config)
    other.replace(config)
    assert config.stat().st_mtime == 1
    assert read_settings(daemon) == UNKNOWN


def test_a_link_that_was_set_to_an_older_file_since_is_not(spawn: Spawn, tmp_path: Path) -> None:
    first, other = written(tmp_path / "first.json", 9), written(tmp_path / "other.json", 2)
    config = tmp_path / "daemon.json"
    config.symlink_to(first)
    daemon = started(spawn, config)
    assert read_settings(daemon).attempts == 9
    config.unlink()
    config.symlink_to(other)
    assert read_settings(daemon) == UNKNOWN


def test_one_that_was_written_anew_is_not_in_force(spawn: Spawn, tmp_path: Path) -> None:
    config = written(tmp_path / "daemon.json", 9)
    daemon = started(spawn, config)
    written(config, 2)
    assert read_settings(daemon) == UNKNOWN


def test_an_argument_is_in_force_whatever_the_file_says(spawn: Spawn, tmp_path: Path) -> None:
    config = written(tmp_path / "daemon.json", 9)
    daemon = started(spawn, config, "--max-concurrent-downloads=1")
    written(config, 2)
    assert read_settings(daemon) == DockerdSettings(attempts=None, slots=1)


def test_without_a_file_the_defaults_are_in_force(spawn: Spawn, tmp_path: Path) -> None:
    assert read_settings(started(spawn, tmp_path / "daemon.json")) == DEFAULTS


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["dockerd", "--graph", "/a"], "/a"),
        (["dockerd", "--graph=/a"], "/a"),
        (["dockerd", "--graph"], ""),
        (["dockerd", "--graphs=/a"], None),
    ],
)
def test_an_option_stands_alone_or_with_its_value(words: list[str], value: str | None) -> None:
    assert option(words, "--graph") == value
