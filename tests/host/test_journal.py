"""host/journal: a unit's own lines, and no others, from a real journald."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.host.journald import Journald, journald, unit_group  # noqa: F401  (fixtures)
from watchdog.errors import Unavailable
from watchdog.host.journal import Journal

UNIT = "docker.service"


def test_lines_that_come_are_told_once(journald: Journald) -> None:  # noqa: F811
    journald.unit_says(UNIT, "before us")
    follower = Journal(UNIT, directory=journald.directory)
    assert follower.read() == []
    journald.unit_says(UNIT, "first", "second \udcff")
    journald.unit_says("other.service", "not ours")
    assert follower.read() == ["first", "second \ufffd"]
    assert follower.read() == []
    follower.close()


def test_a_journal_without_a_line_of_the_unit_is_followed(journald: Journald) -> None:  # noqa: F811
    journald.unit_says("other.service", "not ours")
    follower = Journal(UNIT, directory=journald.directory)
    assert follower.read() == []
    journald.unit_says(UNIT, "the very first")
    assert follower.read() == ["the very first"]
    follower.close()


def test_a_cursor_goes_on_where_we_were(journald: Journald) -> None:  # noqa: F811
    journald.unit_says(UNIT, "before us")
    follower = Journal(UNIT, directory=journald.directory)
    follower.read()
    journald.unit_says(UNIT, "told")
    assert follower.read() == ["told"]
    cursor = follower.cursor()
    follower.close()
    journald.unit_says(UNIT, "while we were away")
    again = Journal(UNIT, cursor, directory=journald.directory)
    assert again.read() == ["while we were away"]
    assert again.read() == []
    again.close()


def test_a_damaged_cursor_begins_at_the_end(journald: Journald) -> None:  # noqa: F811
    journald.unit_says(UNIT, "before us")
    follower = Journal(UNIT, "no such cursor", directory=journald.directory)
    assert follower.read() == []
    journald.unit_says(UNIT, "after")
    assert follower.read() == ["after"]
    follower.close()


def test_rotation_loses_and_repeats_nothing(journald: Journald) -> None:  # noqa: F811
    follower = Journal(UNIT, directory=journald.directory)
    assert follower.read() == []
    journald.unit_says(UNIT, "one")
    journald.rotate()
    journald.unit_says(UNIT, "two")
    assert follower.read() == []  # not in the moment of a rotation
    time.sleep(0.2)
    assert follower.read() == ["one", "two"]
    follower.close()


def test_a_container_that_speaks_with_the_daemons_words_is_not_believed(
    journald: Journald,  # noqa: F811
    unit_group: Path,  # noqa: F811
) -> None:
    unit = unit_group.name
    follower = Journal(unit, directory=journald.directory)
    assert follower.read() == []
    lie = {"MESSAGE": 'level=error msg="unpigz hangs"', "CONTAINER_ID": "4711", "CONTAINER_NAME": "liar"}
    journald.somebody_says(lie, unit_group)
    journald.somebody_says({"MESSAGE": "a native entry of the unit's group"}, unit_group)
    journald.unit_says(unit, "the daemon's own")
    assert follower.read() == ["the daemon's own"]
    follower.close()


def test_the_liars_entry_is_in_the_journal_under_the_units_name(
    journald: Journald,  # noqa: F811
    unit_group: Path,  # noqa: F811
) -> None:
    from systemd import journal

    journald.somebody_says({"MESSAGE": "lie", "CONTAINER_ID": "4711"}, unit_group)
    with journal.Reader(path=journald.directory) as reader:
        reader.add_match(_SYSTEMD_UNIT=unit_group.name)
        assert [entry["MESSAGE"] for entry in reader] == ["lie"]


def test_a_directory_without_a_journal_is_unavailable(tmp_path: Path) -> None:
    pytest.importorskip("systemd.journal")
    with pytest.raises(Unavailable):
        Journal(UNIT, directory=str(tmp_path / "none")).read()
