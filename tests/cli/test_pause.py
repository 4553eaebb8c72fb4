"""`pause`: an owner, a reason and an end; and the gate that every action passes understands it."""

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
from tests.cli.test_incidents import is_open_to_all
from watchdog.act.gate import check_pause
from watchdog.act.settings import ActSettings
from watchdog.config import RuntimeConfig
from watchdog.errors import Refused


def settings(host):
    return ActSettings(host.state_dir, host.run_dir, RuntimeConfig())


def test_a_pause_stops_action_until_its_end_and_no_longer(host):
    done = host.call("pause", "2h", "--reason", "moving the data root", env={"SUDO_USER": "ada"})

    assert (done.status, done.err) == (0, "")
    assert "paused until" in done.out
    with pytest.raises(Refused, match="ada has paused all action until .*: moving the data root"):
        check_pause(settings(host), time.time_ns())
    check_pause(settings(host), time.time_ns() + 2 * 3600 * 10**9 + 10**9)


def test_off_ends_it_and_may_be_said_twice(host):
    host.call("pause", "2h", "--reason", "x")

    for _ in range(2):
        assert host.call("pause", "off").status == 0
        check_pause(settings(host), time.time_ns())


def test_the_file_is_private_and_holds_who_why_and_until_when(host):
    before = time.time_ns()
    host.call("pause", "1d", "--reason", " new disks ", env={"SUDO_USER": ""})

    path = host.state_dir / "pause.json"
    told = json.loads(path.read_text())
    assert told["reason"] == "new disks"
    assert told["owner"]
    assert 0 <= told["until_wall_ns"] - before - 86400 * 10**9 < 60 * 10**9
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("2h",), "needs a reason"),
        (("2h", "--reason", " "), "needs a reason"),
        (("2", "--reason", "x"), '"2" has no unit: write 2s'),
        (("forever", "--reason", "x"), "is no duration"),
        (("91d", "--reason", "x"), "at most 90d"),
    ],
)
def test_a_mistake_is_one_line_and_pauses_nothing(host, words, said):
    done = host.call("pause", *words)

    assert done.status == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not (host.state_dir / "pause.json").exists()


def test_the_longest_pause_is_accepted(host):
    assert host.call("pause", "90d", "--reason", "x").status == 0


def test_a_state_directory_that_cannot_be_made_is_one_line(host):
    host.state_dir.write_text("in the way")

    done = host.call("pause", "2h", "--reason", "x")

    assert done.status == 1
    assert str(host.state_dir) in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(not is_open_to_all(ROOT), reason="other users cannot read the checkout")
def test_without_permission_it_is_8():
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        host = Host(Path(home))
        command = [
            sys.executable,
            "-B",
            "-m",
            "watchdog",
            "pause",
            "2h",
            "--reason",
            "x",
            "-c",
            str(host.file),
        ]
        done = subprocess.run(
            command, cwd=ROOT, user="nobody", capture_output=True, text=True, timeout=60, check=False
        )

    assert done.returncode == 8
    assert str(host.state_dir) in done.stderr
    assert len(done.stderr.splitlines()) == 1
