"""The executor: starts an action beside the agent, never waits, and tells how it ended."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import List, Optional

import pytest

from tests.act.scene import Scene
from tests.lab.faults import Fault
from watchdog import config as configuration
from watchdog.act import executor as executor_module
from watchdog.act import request as request_module
from watchdog.act.executor import Executor, outcome_of
from watchdog.config import Config
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import ActionFinished, ActionStarted, Observation, Outcome
from watchdog.core.policy import Policy, Remedy
from watchdog.host.command import Completed


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Executor]:
    """An executor whose directories are empty: every action is refused for want of an incident."""
    file = tmp_path / "config.yaml"
    file.write_text(f"mode: observe\nstate_dir: {tmp_path}/state\nrun_dir: {tmp_path}/run\n")
    executor = Executor(configuration.load(file))
    yield executor
    executor.close()


def news(executor: Executor, count: int, deadline_s: float = 20.0) -> List[Observation]:
    """The first `count` observations; waits on the executor's descriptor alone."""
    seen: List[Observation] = []
    limit = time.monotonic() + deadline_s
    while len(seen) < count and time.monotonic() < limit:
        seen += executor.observe()
        if len(seen) < count:
            select.select([executor.fileno()], [], [], 1.0)
    return seen


class TestAnAction:
    def test_begins_and_ends(self, idle: Executor) -> None:
        action = idle.start("resume", "pw-none")
        assert idle.in_flight == "resume"

        started, finished = news(idle, 2)

        assert started == ActionStarted(action, "pw-none", "resume")
        assert isinstance(finished, ActionFinished)
        assert (finished.action, finished.outcome) == (action, Outcome.REFUSED)
        assert "no incident pw-none is known" in finished.detail
        assert idle.in_flight == ""

    def test_starting_and_looking_take_no_time(self, idle: Executor) -> None:
        began = time.monotonic()
        idle.start("resume", "pw-none")
        for _ in range(100):
            idle.observe()

        assert time.monotonic() - began < 0.3
        news(idle, 1)

    def test_only_one_at_a_time_changes_the_machine(self, idle: Executor) -> None:
        idle.start("resume", "pw-1")
        second = idle.start("kill_decompressor", "pw-2")

        refused = [one for one in news(idle, 4) if isinstance(one, ActionFinished) and one.action == second]

        assert [one.outcome for one in refused] == [Outcome.REFUSED]
        assert refused[0].detail == "resume is in flight"

    def test_a_repull_does_not_keep_others_waiting(self, idle: Executor) -> None:
        idle.start("repull", "pw-1")
        second = idle.start("resume", "pw-2")
        assert idle.in_flight == "resume"

        ended = {one.action: one.detail for one in news(idle, 4) if isinstance(one, ActionFinished)}

        assert ended[second] == "no incident pw-2 is known; `pull-watchdog incidents` lists them"

    def test_an_undo_is_an_action_too(self, idle: Executor) -> None:
        idle.undo("resume-00000001", "resume", "pw-1")

        started, finished = news(idle, 2)

        assert isinstance(started, ActionStarted)
        assert started.remedy == "undo_resume"
        assert isinstance(finished, ActionFinished)
        assert (finished.outcome, finished.detail) == (
            Outcome.REFUSED,
            'the ledger knows no action "resume-00000001"',
        )


class TestADeadline:
    def test_that_passes_is_told_as_expired(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(executor_module, "_ENTRY", "import time; time.sleep(60)")
        monkeypatch.setattr(request_module, "WAIT_FOR_LOCK_S", 0.0)
        executor = Executor(
            Config(
                policy=Policy(),
                state_dir=tmp_path / "state",
                run_dir=tmp_path / "run",
                deadlines_ns={Remedy.RESUME: 3 * 10**8},
            )
        )
        try:
            executor.start("resume", "pw-1")
            (finished,) = [one for one in news(executor, 2) if isinstance(one, ActionFinished)]
        finally:
            executor.close()

        assert finished.outcome is Outcome.EXPIRED
        assert "what it has done is not known" in finished.detail


class TestWhatItPrints:
    @pytest.mark.parametrize(
        ("stdout", "stderr", "status", "outcome", "detail"),
        [
            (b'{"outcome":"done","detail":"made"}', b"", 0, Outcome.DONE, "made"),
            (b'{"outcome":"refused","detail":"no"}', b"", 5, Outcome.REFUSED, "no"),
            (b"", b"Traceback\nMemoryError", 1, Outcome.EXPIRED, "MemoryError"),
            (b"", b"", -9, Outcome.EXPIRED, "status -9"),
            (b"[]", b"", 0, Outcome.EXPIRED, "status 0"),
            (b'{"outcome":"splendid","detail":""}', b"", 0, Outcome.EXPIRED, "status 0"),
        ],
    )
    def test_is_the_result_or_its_effect_is_unknown(
        self, stdout: bytes, stderr: bytes, status: Optional[int], outcome: Outcome, detail: str
    ) -> None:
        told = outcome_of(Completed((), status, stdout, stderr))

        assert told[0] is outcome
        assert told[1].endswith(detail)


@pytest.mark.lab
class TestOnALab:
    def test_an_action_of_the_agent_s(self, scene: Scene) -> None:
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, scene.hang(Fault.STOP))
        executor = Executor(configuration.load(scene.agent.config))
        try:
            action = executor.start("resume", incident)
            finished = news(executor, 2)[-1]
        finally:
            executor.close()

        assert isinstance(finished, ActionFinished)
        assert finished.outcome is Outcome.DONE
        assert {one.action for one in scene.ledger} == {action}
        assert scene.pull_is_done()

    def test_in_observe_mode_it_is_refused(self, scene: Scene) -> None:
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, scene.hang(Fault.STOP))
        text = scene.agent.config.read_text().replace("mode: enforce", "mode: observe")
        scene.agent.config.write_text(text)
        executor = Executor(configuration.load(scene.agent.config))
        try:
            executor.start("resume", incident)
            finished = news(executor, 2)[-1]
        finally:
            executor.close()

        assert isinstance(finished, ActionFinished)
        assert (finished.outcome, finished.detail) == (Outcome.REFUSED, "the mode is observe")
        assert scene.ledger == ()

    def test_a_new_executor_settles_what_was_cut_short(self, scene: Scene) -> None:
        pid = scene.slow_pull()
        scene.stop(pid)
        scene.act("resume", scene.record(Cause.DECOMPRESSOR_STOPPED, pid), crash="after_effect")

        executor = Executor(configuration.load(scene.agent.config))
        try:
            while scene.ledger[-1].phase != "result":
                select.select([executor.fileno()], [], [], 20.0)
                assert executor.observe() == ()
        finally:
            executor.close()

        assert scene.ledger[-1].outcome is Outcome.DONE
