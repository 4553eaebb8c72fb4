"""The agent follows another log of the node: through its own restart, a rotation, and what is no log."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.agent import Agent
from tests.lab.lab import Lab
from tests.lab.processes import wait_until

LINE = 'level=error msg="upload {} failed: unexpected EOF"\n'

pytestmark = pytest.mark.lab


def write(log: Path, number: int) -> None:
    with log.open("a") as file:
        file.write(LINE.format(number))


def heard(recording: Path, source: str) -> list[str]:
    """The lines of that log in a recording, which may end in the middle of one."""
    lines = []
    for row in recording.read_text().splitlines()[:-1] if recording.exists() else []:
        seen = [one for one in _values(json.loads(row)) if one.get("source") == source]
        lines += [one["text"] for one in seen]
    return lines


def _values(value: object) -> list[dict[str, str]]:
    if isinstance(value, dict):
        return [value] + [each for one in value.values() for each in _values(one)]
    return [each for one in value for each in _values(one)] if isinstance(value, list) else []


def recorded(agent: Agent, recording: Path, what: Callable[[list[str]], bool]) -> list[str]:
    """Run the agent until it has heard that; what it heard."""
    agent.start(record=recording)
    try:
        wait_until(lambda: what(heard(recording, "nginx")), "the agent hears of it", 30.0, every_s=0.5)
    finally:
        agent.stop()
    return heard(recording, "nginx")


def test_nothing_is_lost_or_heard_twice_over_a_restart_and_a_rotation(lab: Lab) -> None:
    log = lab.root / "nginx.log"
    write(log, 0)
    agent = Agent(lab, logs=[{"name": "nginx", "file": str(log)}])
    agent.start()
    try:
        wait_until(lambda: "nginx" in agent.status(), "the log is followed", 20.0, every_s=0.5)
        write(log, 1)
    finally:
        agent.stop()
    write(log, 2)
    log.rename(lab.root / "nginx.log.1")
    write(log, 3)

    def all_of_it(lines: list[str]) -> bool:
        return LINE.format(3).strip() in lines

    lines = recorded(agent, lab.root / "second.recording", all_of_it)
    assert LINE.format(0).strip() not in lines
    assert [one for one in lines if "upload 1" not in one] == [LINE.format(2).strip(), LINE.format(3).strip()]
    assert lines.count(LINE.format(1).strip()) <= 1  # as far as it was read before


def test_what_is_no_log_is_said_and_the_agent_goes_on(lab: Lab) -> None:
    fifo = lab.root / "fifo"
    os.mkfifo(fifo)
    logs = [{"name": "fifo", "file": str(fifo)}, {"name": "gone", "file": str(lab.root / "gone.log")}]
    with Agent(lab, logs=logs) as agent:
        wait_until(lambda: "log.gone" in agent.status(), "both are said", 20.0, every_s=0.5)
        told = " ".join(agent.status().split())
        assert "blind log.fifo" in told and "no regular file" in told
        assert "blind log.gone" in told and "No such file" in told
