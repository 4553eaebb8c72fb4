"""What goes wrong around the agent: it says so in one line, goes on seeing, and loses nothing."""

from __future__ import annotations

import json

import pytest

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import actions, hung
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import run, wait_until

pytestmark = pytest.mark.lab


def hang(lab: Lab, fault: Fault = Fault.STOP) -> None:
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(fault, 8 * images.MB, runs=1)
    lab.pull(images.SMALL)
    hung(lab)


def next_of(agent: Agent, cause: str) -> str:
    return str(agent.incident(cause, deadline_s=30.0)["next"])


def test_a_runtime_that_comes_late_and_comes_back_with_another_pid(lab: Lab) -> None:
    lab.dockerd.stop()
    with Agent(lab) as agent:
        assert "no" in agent.status()
        lab.dockerd.start()
        first = lab.dockerd.pid
        lab.dockerd.restart()
        assert lab.dockerd.pid != first
        hang(lab)

        incident = agent.incident("decompressor_stopped", "recovered", deadline_s=40.0)

        assert incident["image"] == lab.registry.reference(images.SMALL)
        assert lab.has(images.SMALL)


def test_a_damaged_ledger_means_seeing_and_telling_and_no_action(lab: Lab) -> None:
    agent = Agent(lab)
    ledger = agent.state_dir / "ledger.jsonl"
    ledger.write_text("this was once a ledger\n")
    agent.start()
    try:
        hang(lab)

        wait_until(
            lambda: "no ledger" in next_of(agent, "decompressor_stopped"), "it says why it waits", 30.0
        )

        assert str(ledger) in next_of(agent, "decompressor_stopped")
        assert actions(agent) == []
        assert agent.metrics()["pull_watchdog_ledger_usable"] == 0
        assert ledger.read_text() == "this was once a ledger\n"
        ledger.unlink()
        agent.incident("decompressor_stopped", "recovered", deadline_s=30.0)
    finally:
        agent.stop()


def test_a_full_state_directory_means_no_action_and_still_a_diagnosis(lab: Lab) -> None:
    agent = Agent(lab)
    run("mount", "-t", "tmpfs", "-o", "size=64k", "nodev", str(agent.state_dir))
    try:
        (agent.state_dir / "filler").write_bytes(bytes(64 << 10))
        agent.start()
        hang(lab)

        incident = agent.incident("decompressor_stopped", deadline_s=30.0)

        assert incident["culprit"]["pid"] == lab.dockerd.decompressors[-1]
        assert "decompressor_stopped" in agent.status()
        wait_until(lambda: _outcomes(agent) & {"failed", "refused"}, "it says that it could not act", 30.0)
        assert "done" not in _outcomes(agent)
        (agent.state_dir / "filler").unlink()
    finally:
        agent.stop()
        run("umount", str(agent.state_dir))


def _outcomes(agent: Agent) -> set[str]:
    return {str(action["outcome"]) for one in agent.incidents() for action in one["actions"]}


def test_inhibit_and_pause_stop_all_action_and_not_the_diagnosis(lab: Lab) -> None:
    with Agent(lab) as agent:
        (agent.run_dir / "inhibit").write_text("the storage team is at work\n")
        hang(lab)
        wait_until(lambda: "inhibited" in next_of(agent, "decompressor_stopped"), "it says so", 30.0)
        assert actions(agent) == []
        agent.command("pause", "10m", "--reason", "a change window")
        (agent.run_dir / "inhibit").unlink()
        wait_until(lambda: "a change window" in next_of(agent, "decompressor_stopped"), "it says so", 30.0)
        assert actions(agent) == []

        agent.command("pause", "off")

        agent.incident("decompressor_stopped", "recovered", deadline_s=30.0)


def test_a_recording_replays_to_the_same_ticks(lab: Lab) -> None:
    agent = Agent(lab)
    recording = lab.root / "recording.jsonl"
    agent.start(record=recording)
    try:
        hang(lab)
        incident = agent.incident("decompressor_stopped", "recovered", deadline_s=40.0)
    finally:
        agent.stop()

    first, second = (agent.command("replay", "--json", str(recording)) for _ in range(2))

    assert first == second
    last = json.loads(first.splitlines()[-1])
    assert incident["id"] in {one["id"] for one in last["incidents"]}
    assert "recovered" in {one["state"] for one in last["incidents"]}
