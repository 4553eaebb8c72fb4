"""core/causes/daemon: an API that is silent while the runtime lives, and silences that explain themselves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import List, Optional

import pytest

from tests.core.scene import Scene, enforce
from watchdog.core.causes.daemon import silent_api
from watchdog.core.causes.finding import Finding
from watchdog.core.decision import LADDERS
from watchdog.core.evidence import Kind
from watchdog.core.observation import (
    Api,
    Frame,
    LogLine,
    Observation,
    ProcessKey,
    ProcessSample,
    RuntimeSeen,
    SensorState,
    Sight,
)
from watchdog.core.policy import Remedy, Thresholds
from watchdog.core.world import World

LIMITS = Thresholds()
DAEMON = ProcessSample(ProcessKey(5000, 777), 1, "dockerd", states="SSSR", frozen=False)
SEEN = RuntimeSeen("docker", "docker", DAEMON.key, None, Api.ANSWERS, Sight.FULL)
FULL = "http: Accept error: accept unix /run/docker.sock: accept4: too many open files; retrying in 1s"


@dataclass
class Silence:
    """A runtime whose API is asked, and what comes of it."""

    world: World = field(default_factory=World)
    now_s: int = 1000

    def ask(
        self, unanswered: int, daemon: Optional[ProcessSample] = DAEMON, *more: Observation
    ) -> List[Finding]:
        """That many questions in a row had no answer."""
        self.now_s += 10
        state = Api.SILENT if unanswered else Api.ANSWERS
        seen = replace(SEEN, api=state, unanswered=unanswered, detail="connected, but no answer")
        self.world.apply(Frame(self.now_s * 10**9, (seen, *more)))
        if daemon is not None:
            self.world.daemons["docker"] = daemon
        return silent_api("docker", self.world, LIMITS)


def test_an_api_that_leaves_questions_without_an_answer() -> None:
    silence = Silence()
    found = [silence.ask(count) for count in range(1, LIMITS.unresponsive + 1)]
    assert [one.confirmed for (one,) in found] == [False, False, False, True]
    (finding,) = found[-1]
    assert finding.cause.value == "daemon_unresponsive"
    assert {one.kind for one in finding.evidence} == {Kind.SOCKET, Kind.PROCESS_STATE}
    assert {one[0].name for one in found} == {finding.name}


def test_one_that_answers_in_between_is_left_alone() -> None:
    silence = Silence()
    for _ in range(3):
        assert not any(one.confirmed for one in silence.ask(3))
        assert silence.ask(0) == []


@pytest.mark.parametrize("state", [Api.REFUSED, Api.ABSENT, Api.FORBIDDEN])
def test_an_api_that_is_not_there_is_not_silent(state: Api) -> None:
    silence = Silence()
    silence.ask(9)
    silence.world.apply(Frame(0, (replace(SEEN, api=state, unanswered=0),)))
    assert silent_api("docker", silence.world, LIMITS) == []


@pytest.mark.parametrize(
    "held",
    [{"states": "TTTT"}, {"tracer_pid": 99, "states": "tttt"}, {"frozen": True}],
    ids=["stopped", "traced", "frozen"],
)
def test_a_runtime_that_is_held_explains_its_silence(held: dict[str, object]) -> None:
    assert Silence().ask(9, replace(DAEMON, **held)) == []  # type: ignore[arg-type]


def test_without_sight_of_the_process_there_is_no_verdict() -> None:
    assert Silence().ask(9, None) == []
    assert Silence().ask(9, replace(DAEMON, key=ProcessKey(5000, 778))) == [], "an earlier one's sample"


def test_a_sensor_that_is_down_asks_nothing() -> None:
    assert Silence().ask(9, DAEMON, SensorState("runtime.docker", up=False)) == []


def test_its_own_word_of_descriptors_is_the_reason() -> None:
    (finding,) = Silence().ask(9, DAEMON, LogLine("docker", FULL))
    assert finding.target is not None and finding.target.reason == "descriptors"
    assert "LimitNOFILE" in finding.advice[0]


def test_a_line_alone_is_no_silence() -> None:
    assert Silence().ask(0, DAEMON, LogLine("docker", FULL)) == []


def test_the_stacks_come_before_the_restart() -> None:
    (finding,) = Silence().ask(9)
    assert LADDERS[finding.cause] == (Remedy.DUMP_GOROUTINES, Remedy.RESTART_RUNTIME)


# --- and what follows from it -----------------------------------------------------------------


class Deaf(Scene):
    """A machine whose runtime leaves so many questions without an answer."""

    unanswered = 0

    def _what_stands(self) -> List[Observation]:
        *others, seen = super()._what_stands()
        assert isinstance(seen, RuntimeSeen)
        state = Api.SILENT if self.unanswered else Api.ANSWERS
        return [*others, replace(seen, api=state, unanswered=self.unanswered)]

    def effect(self, remedy: str, incident: str) -> None:
        if remedy != Remedy.DUMP_GOROUTINES.value:
            super().effect(remedy, incident)
        if remedy == Remedy.RESTART_RUNTIME.value:
            self.unanswered = 0


def test_the_stacks_first_then_the_restart_then_it_answers() -> None:
    scene = Deaf(enforce(Remedy.RESTART_RUNTIME))
    scene.tick(3)
    scene.unanswered = LIMITS.unresponsive
    scene.tick(30)
    assert scene.decided == ["dump_goroutines", "restart_runtime"]
    assert scene.story == ["confirmed", "acting", "confirmed", "acting", "verifying", "recovered"]
    assert scene.verdicts == ["recovered"]


def test_where_no_restart_is_allowed_it_is_told_and_clears_when_it_answers() -> None:
    scene = Deaf(enforce())
    scene.unanswered = LIMITS.unresponsive
    scene.tick(30)
    assert scene.decided == ["dump_goroutines"], "once"
    assert "switched off: restart_runtime" in scene.incident["next"]
    scene.unanswered = 0
    scene.tick(30)
    assert scene.story[-1] == "cleared"


def test_a_restart_that_does_not_help_is_given_up() -> None:
    scene = Deaf(enforce(Remedy.RESTART_RUNTIME))
    scene.unanswered = LIMITS.unresponsive
    scene.effect = lambda remedy, incident: None  # type: ignore[method-assign]
    scene.tick(120)
    assert scene.decided == ["dump_goroutines", "restart_runtime"]
    assert scene.verdicts == ["not_recovered"] and scene.incident["state"] == "gave_up"
