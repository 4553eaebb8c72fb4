"""host/logfile: no line twice and none lost, whatever is done to the file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, List

import pytest

from watchdog.errors import Unavailable
from watchdog.host.logfile import LineSplitter, LogFile, parse_cursor

LINE = 'time="2026-11-21T05:57:50.%09dZ" level=info msg="line %d"'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "docker.log"
    path.write_text("before us\n")
    return path


def append(path: Path, *numbers: int) -> None:
    with path.open("a") as file:
        file.write("".join(text(number) + "\n" for number in numbers))


def text(number: int) -> str:
    return LINE % (number, number)


def texts(*numbers: int) -> List[str]:
    return [text(number) for number in numbers]


def started(path: Path, cursor: str = "") -> LogFile:
    """A follower that has seen what is there now."""
    follower = LogFile(path, cursor)
    assert follower.read() == []
    return follower


def rename(path: Path) -> None:
    path.rename(path.with_name("docker.log.1"))


def copy_and_truncate(path: Path) -> None:
    shutil.copy(path, path.with_name("docker.log.1"))
    os.truncate(path, 0)


ROTATIONS = pytest.mark.parametrize("rotate", [rename, copy_and_truncate])


def test_only_what_comes_from_now_on_is_told(log: Path) -> None:
    follower = started(log)
    append(log, 1, 2)
    assert follower.read() == texts(1, 2)
    assert follower.read() == []


def test_half_a_line_waits_for_its_end(log: Path) -> None:
    follower = started(log)
    with log.open("a") as file:
        file.write("begun, ")
        file.flush()
        assert follower.read() == []
        file.write("ended\nnext")
        file.flush()
        assert follower.read() == ["begun, ended"]


def test_a_follower_that_starts_in_mid_line_does_not_tell_half_of_it(log: Path) -> None:
    with log.open("a") as file:
        file.write("half a ")
    follower = started(log)
    with log.open("a") as file:
        file.write("line\nwhole\n")
    assert follower.read() == ["whole"]


@ROTATIONS
def test_rotation_loses_and_repeats_nothing(log: Path, rotate: Callable[[Path], None]) -> None:
    follower = started(log)
    append(log, 1)
    assert follower.read() == texts(1)
    append(log, 2)
    rotate(log)
    append(log, 3)
    assert follower.read() == texts(2, 3)
    append(log, 4)
    assert follower.read() == texts(4)


@ROTATIONS
def test_rotation_while_we_were_away_loses_and_repeats_nothing(
    log: Path, rotate: Callable[[Path], None]
) -> None:
    follower = started(log)
    append(log, 1)
    assert follower.read() == texts(1)
    cursor = follower.cursor()
    follower.close()
    append(log, 2)
    rotate(log)
    append(log, 3)
    again = LogFile(log, cursor)
    assert again.read() == texts(2, 3)
    assert again.read() == []


def test_a_file_that_grew_beyond_its_old_size_after_a_truncation_is_read_from_its_start(log: Path) -> None:
    follower = started(log)
    append(log, 1)
    assert follower.read() == texts(1)
    os.truncate(log, 0)
    append(log, *range(10, 30))
    assert follower.read() == texts(*range(10, 30))


def test_a_writer_that_leaves_a_hole_after_a_truncation_is_followed(log: Path) -> None:
    with log.open("w") as writer:  # not in append mode: it goes on at its own offset
        writer.write("x" * 3_000_000 + "\n")
        writer.flush()
        follower = started(log)
        os.truncate(log, 0)
        assert follower.read() == []
        writer.write(text(7) + "\n")
        writer.flush()
        assert follower.read() == texts(7)


def test_a_writer_that_was_not_told_of_a_rename_is_followed_in_the_old_file(log: Path) -> None:
    follower = started(log)
    with log.open("a") as writer:
        rename(log)
        log.touch()
        assert follower.read() == []
        writer.write(text(5) + "\n")
        writer.flush()
        assert follower.read() == texts(5)
    append(log, 6)
    assert follower.read() == texts(6)


def test_a_file_that_comes_later_is_read_from_its_start(tmp_path: Path) -> None:
    follower = LogFile(tmp_path / "docker.log")
    with pytest.raises(Unavailable, match=r"docker\.log cannot be read: No such file"):
        follower.read()
    append(tmp_path / "docker.log", 1)
    assert follower.read() == texts(1)


def test_a_cursor_goes_on_in_the_same_place_also_in_mid_line(log: Path) -> None:
    follower = started(log)
    with log.open("a") as file:
        file.write("first\nhalf ")
    assert follower.read() == ["first"]
    cursor = follower.cursor()
    with log.open("a") as file:
        file.write("line\n")
    assert LogFile(log, cursor).read() == ["half line"]


@pytest.mark.parametrize("cursor", ["", "{}", "null", "[1]", '{"offset": "x"}', "\0\xff", '{"head_bytes": 1'])
def test_a_damaged_cursor_is_none(cursor: str) -> None:
    assert parse_cursor(cursor) is None


def test_a_cursor_of_another_file_starts_at_the_beginning_of_this_one(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("something else\n")
    cursor = started(other).cursor()
    assert LogFile(log, cursor).read() == ["before us"]


def test_rubbish_is_told_as_harmless_text(log: Path) -> None:
    follower = started(log)
    with log.open("ab") as file:
        file.write(b"\xff\xfe\x1b[31mred\x07\r\n\0\0\0after a hole\ttab\n")
    assert follower.read() == ["\ufffd\ufffd\ufffd[31mred\ufffd", "after a hole\ttab"]


def test_a_line_without_end_is_cut_and_the_next_one_is_whole(log: Path) -> None:
    follower = started(log)
    with log.open("a") as file:
        file.write("y" * 100_000 + "\nnext\n")
    assert follower.read() == ["y" * 8192, "next"]


def test_a_long_line_that_comes_in_pieces_is_told_once() -> None:
    lines = LineSplitter()
    assert lines.feed(b"z" * 9000) == ["z" * 8192]
    assert lines.feed(b"z" * 9000) == []
    assert lines.feed(b"end\nnext\n") == ["next"]


def test_who_is_far_behind_skips_and_counts(log: Path) -> None:
    follower = started(log)
    with log.open("a") as file:
        for number in range(280_000):
            file.write(text(number) + "\n")
    told: List[str] = []
    for _ in range(160):
        told += follower.read()
    assert told[-1] == text(279_999)
    assert follower.skipped_bytes > 0
    assert told == texts(*range(280_000 - len(told), 280_000))


def test_what_is_no_file_is_unavailable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "."):
        with pytest.raises(Unavailable):
            LogFile(tmp_path / name).read()


def test_a_file_that_vanished_and_came_back_is_followed(log: Path) -> None:
    follower = started(log)
    log.unlink()
    assert follower.read() == []
    append(log, 1)
    assert follower.read() == texts(1)
