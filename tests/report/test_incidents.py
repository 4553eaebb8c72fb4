"""Incidents on disk: at once in memory, in time on the disk, never at the price of the loop."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from tests.report.test_writer import wait_for
from tests.report.ticks import ID, STOPPED, action, record
from watchdog.core.incident import State
from watchdog.core.observation import Outcome
from watchdog.core.record import from_record
from watchdog.report import incidents
from watchdog.report.incidents import IncidentStore, merged, read_record, read_records
from watchdog.report.writer import Writer


@pytest.fixture
def writer():
    writer = Writer("test", 1000, retry_s=0.05)
    yield writer
    writer.close(5)


@pytest.fixture
def store(tmp_path, writer):
    return IncidentStore(tmp_path / "run", tmp_path / "state", writer)


def test_a_record_is_in_the_run_directory_when_keep_returns_and_is_what_act_can_read(store):
    store.keep(record())

    path = store.run_path / f"{ID}.json"
    assert from_record(read_record(path)).culprit.key == STOPPED.culprit.key
    assert path.stat().st_mode & 0o777 == 0o644
    assert store.run_path.stat().st_mode & 0o777 == 0o755
    assert list(store.run_path.iterdir()) == [path]  # nothing half-written is left


def test_a_record_reaches_the_state_directory_and_is_private_there(store, writer):
    store.keep(record())

    assert writer.close(5)
    path = store.state_path / f"{ID}.json"
    assert json.loads(path.read_text()) == record()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_stalled_disk_holds_up_nothing(store, writer):
    stall = threading.Event()
    writer.submit(lambda: stall.wait(30))

    before = time.monotonic()
    store.keep(record())
    store.keep(record(state=State.ACTING))

    assert time.monotonic() - before < 1
    assert read_record(store.run_path / f"{ID}.json")["state"] == "acting"
    assert not (store.state_path / f"{ID}.json").exists()
    stall.set()
    assert writer.close(5)
    assert read_record(store.state_path / f"{ID}.json")["state"] == "acting"


def test_a_state_directory_that_cannot_be_written_is_written_once_it_can(store, writer):
    store.state_path.parent.write_text("in the way")  # a file where the directory should be
    store.keep(record())
    wait_for(lambda: writer.failures > 0)
    assert writer.last_error

    store.state_path.parent.unlink()

    wait_for(lambda: (store.state_path / f"{ID}.json").exists())


def test_a_run_directory_that_cannot_be_written_is_told_and_no_exception(store):
    store.run_path.parent.write_text("in the way")

    store.keep(record())

    assert str(store.run_path) in store.problem
    store.run_path.parent.unlink()
    store.keep(record(state=State.ACTING))
    assert store.problem == ""


def test_an_unchanged_record_is_not_written_again_and_a_changed_one_is(store):
    store.keep(record())
    path = store.run_path / f"{ID}.json"
    inode = path.stat().st_ino
    os.utime(path, ns=(1, 1))

    store.keep(record())
    assert path.stat().st_mtime_ns == 1

    store.keep(record(next="another sentence"))
    assert path.stat().st_mtime_ns > 1 or path.stat().st_ino != inode


def test_evidence_that_changes_with_every_look_does_not_wear_out_the_disk(store, writer, monkeypatch):
    path = store.state_path / f"{ID}.json"
    store.keep(record())
    wait_for(path.exists)
    for n in range(20):
        store.keep(record(next=f"resume again in {n} s"))
    written = threading.Event()
    writer.submit(written.set)  # behind everything that was to be written
    assert written.wait(5)
    assert read_record(path) == record()
    assert read_record(store.run_path / f"{ID}.json")["next"] == "resume again in 19 s"

    monkeypatch.setattr(incidents, "STATE_DIR_EVERY_S", 0.0)  # much later
    store.keep(record(next="another"))
    wait_for(lambda: read_record(path)["next"] == "another")


@pytest.mark.parametrize(
    "change",
    [{"state": State.ACTING}, {"actions": (action(None),)}, {"resolved_wall_ns": 5}, {"command": "/x"}],
)
def test_whatever_matters_reaches_the_disk_at_once(store, writer, change):
    path = store.state_path / f"{ID}.json"
    store.keep(record())
    wait_for(path.exists)

    store.keep(record(**change))

    wait_for(lambda: read_record(path) == record(**change))


def test_an_incident_that_goes_on_after_a_restart_keeps_the_time_at_which_it_began(store):
    later = {
        "opened_wall_ns": STOPPED.opened_wall_ns + 10**10,
        "confirmed_wall_ns": STOPPED.confirmed_wall_ns + 10**10,
    }

    store.adopt([record()])
    store.keep(record(state=State.ACTING, actions=(action(None),), **later))

    kept = read_record(store.run_path / f"{ID}.json")
    assert (kept["opened_at"], kept["confirmed_at"]) == (record()["opened_at"], record()["confirmed_at"])
    assert kept["state"] == "acting"
    assert [one["outcome"] for one in kept["actions"]] == [None]


def test_another_incident_keeps_its_own_times(store):
    other = record(id="pw-00000002", opened_wall_ns=STOPPED.opened_wall_ns + 10**10)

    store.adopt([record()])
    store.keep(other)

    assert read_record(store.run_path / "pw-00000002.json")["opened_at"] == other["opened_at"]


def test_of_two_directories_the_newer_record_counts_and_none_is_lost():
    old, new = record(), record(state=State.RECOVERED, actions=(action(Outcome.DONE),))
    only_on_disk = record(id="pw-00000001", opened_wall_ns=1)

    both = merged([old, only_on_disk], [new])

    assert [(one["id"], one["state"]) for one in both] == [("pw-00000001", "confirmed"), (ID, "recovered")]


def test_the_oldest_beyond_the_limit_go_from_both_directories(tmp_path, writer):
    store = IncidentStore(tmp_path / "run", tmp_path / "state", writer, incidents_kept=3)
    names = [f"pw-0000000{n}" for n in range(5)]
    for n, name in enumerate(names):
        store.keep(record(id=name, opened_wall_ns=n))
        wait_for(lambda name=name: (store.state_path / f"{name}.json").exists())

    assert writer.close(5)
    for directory in (store.run_path, store.state_path):
        assert sorted(path.stem for path in directory.iterdir()) == names[2:]


@pytest.mark.parametrize("name", ["../escape", "", ".hidden", "a/b", "x" * 65])
def test_an_id_that_is_no_plain_name_is_refused(store, name):
    with pytest.raises(ValueError, match="cannot be the name of a file"):
        store.keep({**record(), "id": name})


def test_files_that_are_no_records_are_named_and_the_others_are_read(store):
    store.keep(record())
    (store.run_path / "torn.json").write_text('{"id": "to')
    (store.run_path / "foreign.json").write_text('{"id": "another"}')
    (store.run_path / "list.json").write_text("[]")
    (store.run_path / "notes.txt").write_text("not a record")

    records, problems = read_records(store.run_path)

    assert [one["id"] for one in records] == [ID]
    assert [problem.split("/")[-1].split(":")[0] for problem in problems] == [
        "foreign.json",
        "list.json",
        "torn.json",
    ]


def test_a_directory_that_is_not_there_holds_no_records(tmp_path):
    assert read_records(tmp_path / "absent") == ([], [])


def test_credentials_in_a_record_do_not_reach_a_file(store, writer):
    store.keep(record(command="/usr/bin/unpigz --password=hunter2222"))

    assert writer.close(5)
    for directory in (store.run_path, store.state_path):
        assert "hunter2222" not in (directory / f"{ID}.json").read_text()
