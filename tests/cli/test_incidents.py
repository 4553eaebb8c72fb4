"""`incidents`: from both directories, in a documented shape, whatever the disk does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Host
from tests.report.ticks import ID, STOPPED, action, record
from watchdog.cli.child import in_child
from watchdog.core.incident import State, Verdict
from watchdog.core.observation import Outcome
from watchdog.errors import Deadline, Unavailable

PROMISED = set("id cause state image culprit opened_at confirmed_at resolved_at actions verification".split())


def put(directory, one):
    directory = directory / "incidents"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{one['id']}.json").write_text(json.dumps(one))


def test_json_is_a_list_in_which_each_incident_has_what_is_promised(host):
    recovered = record(
        state=State.RECOVERED,
        resolved_wall_ns=STOPPED.opened_wall_ns + 10**10,
        actions=(action(Outcome.DONE),),
        verification=Verdict.RECOVERED,
    )
    put(host.run_dir, recovered)

    done = host.call("incidents", "--json")

    assert (done.status, done.err) == (0, "")
    (one,) = done.json
    assert one.keys() >= PROMISED
    assert (one["id"], one["cause"], one["state"]) == (ID, "decompressor_stopped", "recovered")
    assert (one["culprit"]["pid"], one["culprit"]["exe"]) == (4242, "/usr/bin/pigz")
    assert one["opened_at"] == "2023-11-14T22:13:20.000Z"
    assert one["actions"][0].keys() >= {"name", "started_at", "outcome", "detail"}
    assert one["verification"] == "recovered"


def test_none_is_an_empty_list_and_a_sentence(host):
    assert host.call("incidents", "--json").json == []
    assert host.call("incidents").out == "No incident is known.\n"


def test_both_directories_are_read_oldest_first_and_the_newer_record_counts(host):
    put(host.state_dir, record(id="pw-00000001", opened_wall_ns=1))
    put(host.state_dir, record())
    put(host.run_dir, record(state=State.ACTING))

    found = host.call("incidents", "--json").json

    assert [(one["id"], one["state"]) for one in found] == [("pw-00000001", "confirmed"), (ID, "acting")]


def test_people_get_lines_of_at_most_80_columns(host):
    put(host.run_dir, record(state=State.GAVE_UP, actions=(action(Outcome.FAILED),), next="x " * 100))

    out = host.call("incidents").out

    assert "resume failed: SIGCONT sent" in out
    assert "gave up" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_damaged_file_is_told_and_costs_only_itself(host):
    put(host.run_dir, record())
    (host.run_dir / "incidents" / "torn.json").write_text("{")

    done = host.call("incidents", "--json")

    assert [one["id"] for one in done.json] == [ID]
    assert "torn.json" in done.err


def test_a_pipe_in_the_state_directory_holds_up_nobody(host):
    """A read that never returns, as on a dead disk."""
    put(host.run_dir, record())
    (host.state_dir / "incidents").mkdir(parents=True)
    os.mkfifo(host.state_dir / "incidents" / "pw-00000002.json")

    before = time.monotonic()
    done = host.call("incidents", "--json")

    assert time.monotonic() - before < 8
    assert [one["id"] for one in done.json] == [ID]
    assert "did not answer within 2 s" in done.err


def is_open_to_all(path):
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not is_open_to_all(ROOT), reason="other users cannot read the checkout")
def test_without_permission_for_the_state_directory_the_rest_is_shown():
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        host = Host(Path(home))
        put(host.run_dir, record())
        put(host.state_dir, record(id="pw-00000002"))
        host.state_dir.chmod(0o700)
        command = [sys.executable, "-B", "-m", "watchdog", "incidents", "--json", "-c", str(host.file)]
        done = subprocess.run(
            command, cwd=ROOT, user="nobody", capture_output=True, text=True, timeout=60, check=False
        )

    assert [one["id"] for one in json.loads(done.stdout)] == [ID]
    assert "Permission denied" in done.stderr


def _raise(error):
    raise error


def test_a_child_answers_raises_or_is_left_behind():
    assert in_child(5, "it", lambda: [1, {"a": None}]) == [1, {"a": None}]
    assert len(in_child(5, "it", lambda: "x" * 1_000_000)) == 1_000_000
    with pytest.raises(Unavailable, match="it: division by zero"):
        in_child(5, "it", lambda: 1 / 0)
    with pytest.raises(PermissionError, match="it: "):
        in_child(5, "it", lambda: _raise(PermissionError(13, "Permission denied")))
    with pytest.raises(Unavailable, match="without an answer"):
        in_child(5, "it", lambda: os._exit(0))

    before = time.monotonic()
    with pytest.raises(Deadline, match=r"it did not answer within 0\.2 s"):
        in_child(0.2, "it", lambda: time.sleep(60))
    assert time.monotonic() - before < 5
