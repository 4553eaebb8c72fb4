"""`reload`: a configuration comes into force whole or not at all, and the agent stays the same process."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from tests.cli.conftest import Host
from tests.cli.test_run import Running, configure
from tests.report.test_writer import wait_for
from watchdog.cli.reload import lock_holder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent needs root")


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path)
    configure(host)
    return host


def state(host):
    return host.call("status", "--json").json


def test_a_good_configuration_is_in_force(host):
    with Running(host) as agent:
        before = state(host)
        configure(host, mode="enforce")

        done = host.call("reload")

        assert (done.status, done.err) == (0, "")
        after = state(host)
        assert (before["mode"], after["mode"]) == ("observe", "enforce")
        assert before["pid"] == after["pid"] == agent.process.pid
        assert agent.stop() == 0


def test_a_wrong_one_is_told_and_the_old_one_stays(host):
    with Running(host) as agent:
        host.file.write_text("mode: obzerve\n")

        done = host.call("reload")

        assert done.status == 2
        assert f"{host.file}:1" in done.err
        configure(host)
        assert state(host)["mode"] == "observe"
        assert agent.process.poll() is None


def test_a_signal_alone_finds_a_wrong_one_too(host):
    """Whoever signals the agent without checking first."""
    with Running(host) as agent:
        text = host.file.read_text()
        host.file.write_text("mode: obzerve\n")
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "configuration not reloaded" in agent.log.read_text(), 20)
        host.file.write_text(text)

        assert f"{host.file}:1" in state(host)["reload_problem"]
        assert "old configuration stays in force" in " ".join(host.call("status").out.split())
        assert host.call("reload").status == 0
        assert state(host)["reload_problem"] == ""


def test_one_that_cannot_work_leaves_the_old_one(host):
    with Running(host) as agent, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        configure(host, mode="enforce", metrics={"listen": f"127.0.0.1:{port}"})

        done = host.call("reload")

        assert done.status == 2
        assert str(port) in done.err
        assert "old configuration stays in force" in done.err
        assert state(host)["mode"] == "observe"
        assert agent.process.poll() is None


def test_another_state_directory_needs_a_restart(host):
    with Running(host):
        configure(host, state_dir=str(host.home / "elsewhere"))

        done = host.call("reload")

        assert done.status == 2
        assert "restart" in done.err


def test_a_recording_keeps_its_configuration(host):
    with Running(host, "--record", str(host.home / "frames.jsonl")):
        done = host.call("reload")

        assert done.status == 2
        assert "recording" in done.err


def test_without_an_agent_it_says_so(host):
    done = host.call("reload")

    assert done.status == 3
    assert "no agent runs" in done.err


def test_the_holder_of_the_lock_is_the_agent_and_nobody_else(host):
    path = host.run_dir / "agent.lock"
    assert lock_holder(path) is None
    with Running(host) as agent:
        assert lock_holder(path) == agent.process.pid
    wait_for(lambda: lock_holder(path) is None, 20)


def test_a_signal_does_not_end_an_agent_that_has_just_begun(host):
    with Running(host) as agent:
        for _ in range(3):
            agent.process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
        wait_for(lambda: host.call("status").status == 0, 20)
        assert agent.process.poll() is None
