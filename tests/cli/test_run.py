"""`run`: where it cannot start it says why in one line; where it can, status and metrics answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Host, call
from tests.cli.test_incidents import is_open_to_all
from tests.report.test_writer import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the agent needs root")


@pytest.fixture
def alone(host):
    """A host without a runtime, its metrics on any free port."""
    configure(host)
    return host


def configure(host, **changes):
    content = {
        "run_dir": str(host.run_dir),
        "state_dir": str(host.state_dir),
        "engine": "polling",
        "metrics": {"listen": "127.0.0.1:0"},
        "runtimes": [{"socket": f"unix://{host.home}/docker.sock"}],
        **changes,
    }
    host.file.write_text(json.dumps(content))  # JSON is YAML


class Running:
    """`pull-watchdog run` in a process of its own."""

    def __init__(self, host, *words):
        command = [sys.executable, "-m", "watchdog", "run", "-c", str(host.file), *words]
        self.log = host.home / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self.state = host.run_dir / "state.json"

    def __enter__(self):
        wait_for(lambda: self.state.exists() or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.log.read_text()
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@needs_root
def test_it_runs_answers_and_ends_in_good_order(alone):
    with Running(alone) as agent:
        told = alone.call("status", "--json")
        assert (told.status, told.json["engine"], told.json["pid"]) == (0, "polling", agent.process.pid)
        assert "no runtime" in told.out or "there is no socket" in told.out
        with urllib.request.urlopen(f"http://{told.json['metrics']}/metrics", timeout=5) as answer:
            assert b"pull_watchdog_build_info" in answer.read()
        assert agent.stop() == 0

    assert alone.call("status").status == 3
    assert all(json.loads(line)["event"] for line in agent.log.read_text().splitlines())


@needs_root
def test_a_killed_agent_is_told_as_not_running(alone):
    with Running(alone) as agent:
        agent.process.kill()
        agent.process.wait(10)

    done = alone.call("status")
    assert done.status == 3
    assert "NOT RUNNING" in done.out


@needs_root
def test_a_stopped_agent_still_has_a_status(alone):
    with Running(alone) as agent:
        agent.process.send_signal(signal.SIGSTOP)
        before = time.monotonic()
        done = alone.call("status")
        assert time.monotonic() - before < 5
        assert "pull-watchdog" in done.out
        agent.process.send_signal(signal.SIGCONT)


@needs_root
def test_a_recording_of_a_run_can_be_replayed(alone):
    recording = alone.home / "frames.jsonl"
    with Running(alone, "--record", str(recording)) as agent:
        wait_for(lambda: recording.exists() and recording.stat().st_size > 0, 20)
        assert agent.stop() == 0

    done = call("replay", str(recording))
    assert (done.status, done.err) == (0, "")
    assert "0 incident(s)" in done.out


def refused(host, *words):
    """How `run` ends where it cannot start: its exit status and the one line that says why."""
    done = host.call("run", *words)
    lines = [line for line in done.err.splitlines() if line.startswith("pull-watchdog: ")]
    assert len(lines) == 1, done.err
    assert "Traceback" not in done.err
    return done.status, lines[0]


@needs_root
def test_a_port_in_use_is_one_line_and_no_start(alone):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configure(alone, metrics={"listen": f"127.0.0.1:{port}"})

        status, line = refused(alone)

    assert status == 1
    assert f"127.0.0.1:{port}" in line
    assert "metrics.listen" in line


@needs_root
def test_a_second_agent_of_the_same_directories_is_refused_and_one_of_others_is_not(alone, tmp_path_factory):
    other = Host(tmp_path_factory.mktemp("other"))
    configure(other)
    with Running(alone) as agent:
        status, line = refused(alone)
        assert status != 0
        assert str(alone.run_dir) in line
        with Running(other) as second:
            assert second.stop() == 0
        assert agent.process.poll() is None


@needs_root
def test_a_recording_that_cannot_be_written_is_one_line(alone):
    status, line = refused(alone, "--record", "/proc/no/such/place")

    assert status == 1
    assert "/proc/no/such/place" in line


@needs_root
def test_a_run_directory_that_cannot_be_made_is_one_line(alone):
    alone.run_dir.write_text("in the way")

    status, line = refused(alone)

    assert status == 1
    assert str(alone.run_dir) in line


@needs_root
@pytest.mark.skipif(not is_open_to_all(ROOT), reason="other users cannot read the checkout")
def test_without_root_it_is_one_line():
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o777)
        host = Host(Path(home))
        configure(host)
        command = [sys.executable, "-B", "-m", "watchdog", "run", "-c", str(host.file)]
        done = subprocess.run(
            command, cwd=ROOT, user="nobody", capture_output=True, text=True, timeout=60, check=False
        )

    assert done.returncode != 0
    assert "root" in done.stderr
    assert len(done.stderr.splitlines()) == 1
