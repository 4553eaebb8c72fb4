"""state.json: whole at any moment, fresh while the agent lives, free of credentials."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace

import pytest

from tests.report.ticks import HUNG, ID, QUIET
from watchdog.config import Config
from watchdog.report import state as state_module
from watchdog.report.state import StateFile, start_ticks
from watchdog.report.vitals import Vitals

VITALS = Vitals(
    engine="bcc",
    engine_attempts=(("libbpf", "libbpf 0.3 is older than 1.0"),),
    kernel_events_lost=7,
    ledger_usable=True,
    metrics_address="127.0.0.1:9847",
    dropped=(("log", 2),),
)


@pytest.fixture
def state(tmp_path):
    return StateFile(Config(run_dir=tmp_path / "run", state_dir=tmp_path / "state"))


def read(state):
    return json.loads(state.path.read_text())


def test_it_says_all_that_status_shows(state):
    state.observe(HUNG, VITALS)

    told = read(state)
    assert told["schema"] == 1
    assert (told["pid"], told["start_ticks"]) == (os.getpid(), start_ticks(os.getpid()))
    assert (told["mode"], told["engine"], told["metrics"]) == ("observe", "bcc", "127.0.0.1:9847")
    assert told["engine_attempts"] == [{"engine": "libbpf", "detail": "libbpf 0.3 is older than 1.0"}]
    assert told["sentence"] == HUNG.sentence
    assert [one["id"] for one in told["incidents"]] == [ID]
    assert told["stages"][0]["still_samples"] == 14
    assert told["pulls"][0]["image"] == "localhost:5000/big:1"
    assert told["pulls"][0]["client"] == {"pid": 4000, "start_ticks": 900}
    assert told["runtimes"][0]["api"] == "answers"
    assert told["sensors"][1] == {"sensor": "log:docker", "up": True, "detail": ""}
    assert told["decisions"][0]["call"] == "would_act"
    assert told["budgets"] == [{"remedy": "resume", "cause": "decompressor_stopped", "remaining": 5}]
    assert told["updated_at"].endswith("Z")


def test_everybody_may_read_it_whatever_the_umask(state):
    old = os.umask(0o077)
    try:
        state.observe(QUIET, VITALS)
    finally:
        os.umask(old)

    assert state.path.stat().st_mode & 0o777 == 0o644
    assert state.path.parent.stat().st_mode & 0o777 == 0o755


def test_a_tick_that_changes_nothing_writes_nothing_until_it_is_time(state, monkeypatch):
    state.observe(QUIET, VITALS)
    first = state.path.stat().st_ino
    state.observe(replace(QUIET, now_ns=QUIET.now_ns + 1), replace(VITALS, tick_ns=99))
    assert state.path.stat().st_ino == first

    monkeypatch.setattr(state_module, "AT_LEAST_EVERY_NS", 0)
    before = read(state)["updated_monotonic_ns"]
    state.observe(QUIET, VITALS)
    assert read(state)["updated_monotonic_ns"] > before


def test_a_tick_that_changes_something_writes_at_once(state):
    state.observe(QUIET, VITALS)
    state.observe(HUNG, VITALS)

    assert read(state)["sentence"] == HUNG.sentence


def test_a_reader_never_sees_half_a_file(state):
    stop, broken = threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                read(state)
            except FileNotFoundError:
                pass
            except ValueError as error:
                broken.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    for n in range(200):
        state.observe(replace(HUNG, sentence="x" * n), VITALS)
    stop.set()
    thread.join()

    assert broken == []


def test_a_directory_that_cannot_be_written_is_told_and_no_exception(state):
    state.path.parent.write_text("in the way")

    state.observe(QUIET, VITALS)

    assert str(state.path) in state.problem


def test_credentials_are_not_in_it(state):
    state.observe(replace(QUIET, sentence="pulling https://ci:hunter2222@registry.example/app"), VITALS)

    assert "hunter2222" not in state.path.read_text()


def test_remove_can_be_done_twice(state):
    state.observe(QUIET, VITALS)
    state.remove()
    state.remove()

    assert not state.path.exists()


def test_start_ticks_tells_a_living_process_from_none():
    assert start_ticks(os.getpid()) > 0
    assert start_ticks(2**22 + 1) is None
