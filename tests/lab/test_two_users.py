"""An agent that may look and not touch: it sees all that root's sees, and another hand frees the pull."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import hung
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.two_users import USER, agent_without_rights

pytestmark = pytest.mark.lab


def hang(lab: Lab) -> int:
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.SPIN, 8 * images.MB, runs=1)
    lab.pull(images.SMALL)
    hung(lab)
    return lab.dockerd.decompressors[-1]


def requests(agent: Agent) -> list[dict[str, Any]]:
    """What it has asked for and heard of."""
    return [one for incident in agent.incidents() for one in incident["actions"] if one["outcome"]]


def state(agent: Agent) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads((agent.run_dir / "state.json").read_text())
    return told


def test_it_sees_and_another_hand_frees_the_pull(lab: Lab) -> None:
    with agent_without_rights(lab) as agent:
        culprit = hang(lab)

        incident = agent.incident("decompressor_spinning", "recovered", deadline_s=60.0)

        assert Path(f"/proc/{agent.pid}").stat().st_uid == USER
        assert state(agent)["engine"] == "libbpf", state(agent)["engine_attempts"]
        assert incident["culprit"]["pid"] == culprit
        assert ("kill_decompressor", "done") in [(one["name"], one["outcome"]) for one in incident["actions"]]
        assert lab.has(images.SMALL)
        ledger = agent.state_dir / "ledger.jsonl"
        assert ledger.stat().st_uid == 0
        assert [one for one in state(agent)["sensors"] if not one["up"]] == []


def test_without_that_hand_it_tells_and_nothing_is_touched(lab: Lab) -> None:
    with agent_without_rights(lab, hands=False) as agent:
        culprit = hang(lab)
        agent.incident("decompressor_spinning", deadline_s=60.0)

        asked = wait_until(lambda: requests(agent), "it has asked", 60.0)

        assert {one["outcome"] for one in asked} == {"refused"}
        assert "takes no requests" in asked[0]["detail"]
        assert lab.dockerd.decompressors[-1] == culprit
        assert not (agent.state_dir / "ledger.jsonl").exists()
