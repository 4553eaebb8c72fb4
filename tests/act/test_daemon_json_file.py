"""The file alone: what is written where there was none, and what is no file to write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from watchdog.act import daemon_json
from watchdog.act.daemon_command import DaemonCommand
from watchdog.act.daemon_json import BACKUP, Change
from watchdog.errors import Refused

KEY = "max-concurrent-downloads"


def change(path: Path, after: str = "1") -> Change:
    return daemon_json.change(daemon_json.read(path), KEY, after)


def test_a_file_that_was_not_there_is_made(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    wanted = change(path)
    daemon_json.write(wanted, None)

    assert path.read_text() == '{\n    "max-concurrent-downloads": 1\n}\n'
    assert daemon_json.take_back(wanted, None)
    assert path.read_text() == "{}\n"
    assert [one.name for one in tmp_path.iterdir()] == ["daemon.json"]


def test_the_old_file_itself_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    inode = path.stat().st_ino
    daemon_json.write(change(path), None)

    assert (tmp_path / f"daemon.json{BACKUP}").stat().st_ino == inode
    assert path.stat().st_ino != inode


def test_what_was_left_of_a_killed_write_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text("{}")
    (tmp_path / ".daemon.json.pull-watchdog").write_text('{"half')
    daemon_json.write(change(path), None)

    assert sorted(one.name for one in tmp_path.iterdir()) == ["daemon.json", f"daemon.json{BACKUP}"]


def test_a_text_that_is_no_ascii_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_bytes('{\r\n  "labels": ["städtisch"]\r\n}\r\n'.encode())
    wanted = change(path)
    daemon_json.write(wanted, None)
    daemon_json.take_back(wanted, None)

    assert path.read_bytes() == '{\r\n  "labels": ["städtisch"]\r\n}\r\n'.encode()


def test_somebody_has_set_the_key_in_between(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    wanted = change(path)
    path.write_text('{"max-concurrent-downloads": 7}')

    with pytest.raises(Refused, match="somebody has changed max-concurrent-downloads"):
        daemon_json.write(wanted, None)
    assert not daemon_json.take_back(wanted, None)
    assert path.read_text() == '{"max-concurrent-downloads": 7}'


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: os.mkfifo(path), "no plain file"),
        (lambda path: path.mkdir(), "no plain file|cannot be read"),
        (lambda path: path.write_bytes(b"\xff\xfe{}"), "is not valid"),
        (lambda path: path.write_text(""), "is not valid"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_what_cannot_be_edited(tmp_path: Path, make: object, reason: str) -> None:
    path = tmp_path / "daemon.json"
    make(path)  # type: ignore[operator]

    with pytest.raises(Refused, match=reason):
        daemon_json.read(path)


def test_there_is_no_directory_for_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be used"):
        daemon_json.read(tmp_path / "docker" / "daemon.json")


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("dockerd",), "/etc/docker/daemon.json"),
        (("dockerd", "--config-file", "/x.json", "-D"), "/x.json"),
        (("dockerd", "--config-file=/x.json"), "/x.json"),
    ],
)
def test_where_the_runtime_reads_it(words: tuple[str, ...], path: str) -> None:
    assert DaemonCommand(words, None).config_file == path


@pytest.mark.parametrize(
    "words", [("dockerd", "--config-file", "/x.json", "-D"), ("dockerd", "-D", "--config-file=/x.json")]
)
def test_the_check_of_another_file_names_no_second_one(words: tuple[str, ...]) -> None:
    assert DaemonCommand(words, "/usr/bin/dockerd")._words_without_config() == ["-D"]
