"""The ten laws of the core (head of core/engine.py), each on whole stories."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Callable, Dict, FrozenSet, List, Optional, Tuple

import pytest

from tests.core.hangs import HANGS
from tests.core.machine import MIB, Extraction
from tests.core.scene import Scene, enforce
from tests.core.variants import Powerless
from watchdog.core.codec import frame_from_json, frame_to_json
from watchdog.core.engine import Engine
from watchdog.core.observation import ActionFinished, ActionStarted, Frame, LogLine, SensorState
from watchdog.core.policy import Remedy
from watchdog.core.tick import Call

ROOT = Path(__file__).resolve().parents[2]
ANYTHING = enforce(*Remedy)
HUNG = ("stopped", "spinning", "blocked", "input_ended", "untar_stopped", "untar_blocked", "daemon_stopped")
HELD = (
    "frozen_v1",
    "frozen_v2",
    "traced",
    "untar_frozen",
    "untar_traced",
    "daemon_frozen",
    "daemon_traced",
)


def story(kind: str, looks: int = 40, scene: Optional[Scene] = None) -> Scene:
    """A pull that goes well, then hangs, and what came of it."""
    scene = scene or Scene(ANYTHING)
    one = scene.pull(wrapper=True)
    scene.tick(3)
    scene.hang(one, kind)
    scene.tick(looks)
    return scene


def replayed(frames: List[Frame]) -> List[str]:
    engine = Engine()
    return [engine.step(frame).to_json() for frame in frames]


# --- 1. Same recording, same ticks ----------------------------------------------------------------


@pytest.fixture(scope="module")
def long_story() -> Scene:
    """Several pulls, a fault that comes back, two agents."""
    scene = Scene(ANYTHING)
    scene.takes = 1
    scene.fault = "blocked"
    scene.pull(size=60 * MIB)
    scene.manifest("localhost:5000/other:1", 60 * MIB, 3 * MIB)
    scene.client("localhost:5000/other:1")
    scene.tick(25)
    scene.restart_agent()
    scene.tick(60)
    assert len(scene.effects) > 3
    return scene


@pytest.mark.parametrize("kind", HANGS)
def test_1_a_recording_replays_to_the_same_ticks(kind):
    scene = story(kind)

    assert replayed(scene.frames) == [tick.to_json() for tick in scene.ticks]


def test_1_also_from_its_file(long_story):
    frames = [frame_from_json(frame_to_json(frame)) for frame in long_story.frames]

    assert replayed(frames[:25]) == [tick.to_json() for tick in long_story.ticks[:25]]


REPLAY = """
import sys
from watchdog.core.codec import frame_from_json
from watchdog.core.engine import Engine
engine = Engine()
for line in sys.stdin:
    print(engine.step(frame_from_json(line)).to_json())
"""


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_1_also_in_another_process_with_another_order_of_sets(long_story, seed):
    recording = "".join(frame_to_json(frame) + "\n" for frame in long_story.frames[:25])

    done = subprocess.run(
        [sys.executable, "-c", REPLAY],
        input=recording,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines() == [tick.to_json() for tick in long_story.ticks[:25]]


# --- 2. Losing a sensor leads to unknown, never to hung -------------------------------------------


def _unseen(name: str) -> Callable[[Scene, Extraction], None]:
    """That field of every process cannot be read any more."""

    def lose(scene: Scene, one: Extraction) -> None:
        for process in (*one.members, one.untar, scene.daemon):
            setattr(
                process, name, type(process).__dataclass_fields__[name].default if name == "states" else None
            )
            if name == "states":
                process.states, process.waits = "", ()

    return lose


def _no_states(scene: Scene, one: Extraction) -> None:
    for process in (*one.members, one.untar, scene.daemon):
        process.states, process.waits = "", ()


def _no_pipes_answer(scene: Scene, one: Extraction) -> None:
    for process in (*one.members, one.untar):
        process.pipes(filled=None, room=None)


def _field_of_the_scene(**fields: object) -> Callable[[Scene, Extraction], None]:
    return lambda scene, one: vars(scene).update(fields)


LOSSES: Dict[str, Callable[[Scene, Extraction], None]] = {
    "rchar": _unseen("read_bytes"),
    "wchar": _unseen("written_bytes"),
    "cpu": _unseen("cpu_ticks"),
    "states": _no_states,
    "freezer": _unseen("frozen"),
    "stdin": _unseen("stdin"),
    "stdout": _unseen("stdout"),
    "pipes": _no_pipes_answer,
    "disk": _field_of_the_scene(sectors=None),
    "a part": _field_of_the_scene(complete=False),
    "clients": _field_of_the_scene(clients_complete=False),
}


@cache
def causes_in_full_sight(kind: str) -> FrozenSet[str]:
    return frozenset(record["cause"] for record in story(kind, 15, Scene(acts=False)).incidents)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", HANGS)
def test_2_a_loss_of_sight_brings_no_other_verdict(kind, loss):
    """With less to see there is the same cause, or none."""
    scene = Scene(acts=False)
    one = scene.pull(wrapper=True)
    scene.tick(3)
    scene.hang(one, kind)
    LOSSES[loss](scene, one)

    scene.tick(15)

    assert {record["cause"] for record in scene.incidents} <= causes_in_full_sight(kind)


@pytest.mark.parametrize("loss", LOSSES)
def test_2_a_healthy_pull_stays_healthy(loss):
    scene = Scene(ANYTHING)
    one = scene.pull(wrapper=True)
    for look in range(40):
        scene.tick()
        if look % 4 == 0:
            LOSSES[loss](scene, one)
        elif look % 4 == 2:
            scene.sectors, scene.complete, scene.clients_complete = look, True, True
            one.worker.pass_bytes(0, 0)
            scene.go_on(one)

    assert (scene.story, scene.effects) == ([], [])


@pytest.mark.parametrize("kind", HANGS)
def test_2_looks_with_gaps_between_them_confirm_nothing(kind):
    scene = Scene(acts=False)
    scene.hang(scene.pull(), kind)

    scene.tick(40, seconds=3.5)

    assert scene.incidents == []


@pytest.mark.parametrize("kind", HUNG)
def test_2_looks_that_come_a_little_late_do_confirm(kind):
    scene = Scene(acts=False)
    scene.hang(scene.pull(), kind)

    scene.tick(12, seconds=2.9)

    assert len(scene.incidents) == 1


# --- 3. Two independent kinds of evidence ---------------------------------------------------------


@pytest.mark.parametrize("kind", HUNG)
def test_3_whatever_is_done_rests_on_two_kinds_of_evidence(kind):
    scene = story(kind)

    acts = [(tick, one) for tick in scene.ticks for one in tick.decisions if one.call is Call.ACT]
    assert acts
    for tick, decision in acts:
        (record,) = [one for one in tick.incidents if one["id"] == decision.incident]
        assert len({fact["kind"] for fact in record["evidence"]}) >= 2


def test_3_log_lines_alone_confirm_nothing():
    scene = Scene(ANYTHING)
    scene.pull(size=4000 * MIB)
    for _ in range(40):
        scene.news += [
            LogLine("docker", "level=error msg='unpigz hangs, kill it now'"),
            SensorState("extraction", False, "down"),
        ]
        scene.tick()

    assert (scene.incidents, scene.effects) == ([], [])


# --- 4. One action at a time ----------------------------------------------------------------------


def test_4_never_two_at_once():
    scene = Scene(ANYTHING)
    scene.takes = 3
    for number, kind in enumerate(("stopped", "blocked", "spinning", "stopped")):
        one = scene.pull(f"localhost:5000/image{number}:1", size=(90 + number) * MIB)
        one.move((1 + number * 7) * MIB)
        scene.hang(one, kind)
    scene.tick(90)

    assert len(scene.effects) >= 6
    running = 0
    for frame, tick in zip(scene.frames, scene.ticks):
        for one in frame.observations:
            if isinstance(one, (ActionStarted, ActionFinished)) and one.remedy != "repull":
                running += 1 if isinstance(one, ActionStarted) else -1
        begun = [one for one in tick.decisions if one.call is Call.ACT and one.remedy != "repull"]
        assert running + len(begun) <= 1


# --- 5. Recovered only by progress that was seen --------------------------------------------------


@pytest.mark.parametrize("kind", HUNG)
def test_5_success_that_is_only_said_is_none(kind):
    scene = story(kind, 120, Powerless(ANYTHING))

    assert scene.effects
    assert "recovered" not in scene.story
    assert "recovered" not in scene.verdicts


class Vanishing(Scene):
    """Whatever is done, the subject is gone afterwards."""

    def effect(self, remedy: str, incident: str) -> None:
        self.extractions.clear()
        self.clients.clear()
        self.daemon = self._process("dockerd", 1, "S" * 9, "nr:202")


@pytest.mark.parametrize("kind", HUNG)
def test_5_an_end_is_no_success(kind):
    scene = story(kind, 120, Vanishing(ANYTHING))

    assert scene.decided
    assert "recovered" not in scene.story


# --- 6. Two ladders -------------------------------------------------------------------------------

STRENGTH = ("resume", "kill_decompressor", "disable_pigz", "restart_runtime")


@pytest.mark.parametrize("kind", HUNG)
def test_6_freeing_goes_from_the_mildest_to_the_strongest(kind):
    scene = story(kind, 200, Powerless(ANYTHING))

    freeing = [STRENGTH.index(remedy) for remedy in scene.decided if remedy in STRENGTH]
    assert freeing == sorted(freeing)


@pytest.mark.parametrize("kind", HUNG)
def test_6_prevention_is_only_for_what_came_back(kind):
    scene = Scene(ANYTHING)
    scene.fault = kind
    scene.pull(size=60 * MIB)
    scene.tick(200)

    done = [remedy for remedy, _ in scene.effects]
    for preventing in {"substitute_decompressor", "disable_pigz"} & set(done):
        assert "kill_decompressor" in done[: done.index(preventing)]


# --- 7. Killed at any point, it converges: see test_restarts.py -----------------------------------
# --- 8. Slow is not hung; held is not hung --------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("kind", HANGS)
def test_8_whatever_still_moves_is_left_alone(kind, every):
    scene = Scene(ANYTHING)
    one = scene.pull()
    scene.hang(one, kind)
    for look in range(30):
        if look % every == 0:
            one.worker.pass_bytes(1, 0)
            one.untar.pass_bytes(1, 0)
            scene.daemon.pass_bytes(1, 0)
        scene.tick()

    assert (scene.incidents, scene.decided) == ([], [])


@pytest.mark.parametrize("kind", HELD)
def test_8_what_is_held_is_told_and_not_touched(kind):
    scene = story(kind, 60)
    scene.restart_agent()
    scene.tick(60)

    assert scene.decided == []
    assert scene.incident["hands_off"]


# --- 9. What is not ours is not touched -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["stopped", "spinning", "blocked", "untar_stopped", "untar_blocked"])
@pytest.mark.parametrize(
    "whose", ["a load", "a load beside a pull", "two of equal place", "two blobs", "no blob"]
)
def test_9_ambiguous_is_refused(kind, whose):
    scene = Scene(ANYTHING)
    one = scene.load() if whose.startswith("a load") else scene.pull()
    if whose == "a load beside a pull":
        scene.pull(size=4000 * MIB).move(100 * MIB)
    elif whose == "two of equal place":
        scene.hang(scene.pull("localhost:5000/other:1", size=90 * MIB), kind)
    elif whose == "two blobs":
        scene.pull("localhost:5000/other:1", size=90 * MIB)
        scene.extractions[1].worker.stdin = None
        scene.extractions[1].hung = "it has not begun"
    elif whose == "no blob":
        one.blob = None
    scene.hang(one, kind)

    scene.tick(60)

    assert scene.decided == []


def test_9_an_id_is_of_one_process_only():
    scene = Scene(acts=False)
    for number in range(30):
        one = scene.pull(f"localhost:5000/image{number}:1", size=(90 + number) * MIB)
        scene.hang(one, "stopped")
    scene.tick(8)

    names: List[Tuple[str, int]] = [(record["id"], record["culprit"]["pid"]) for record in scene.incidents]
    assert len({name for name, _ in names}) == len({pid for _, pid in names}) == 30


# --- 10. The watchdog is never the hang -----------------------------------------------------------


def test_10_what_it_remembers_is_bounded():
    """A day of pulls leaves no more behind than an hour."""

    def remembered(scene: Scene) -> Dict[str, int]:
        engine = scene.engine
        parts = (engine, engine.world, engine.tracks, engine.streaks, engine.casebook)
        sized = {
            f"{type(part).__name__}.{name}": len(value)
            for part in parts
            for name, value in vars(part).items()
            if hasattr(value, "__len__")
        }
        return sized

    scene = Scene(acts=False)
    seen: List[Dict[str, int]] = []
    for day in range(2):
        for number in range(300):
            one = scene.pull(f"localhost:5000/image{day}-{number}:1", size=MIB)
            scene.tick(2)
            if number % 3 == 0:
                scene.arrive(one.image)
        scene.tick(10)
        seen.append(remembered(scene))

    assert seen[0] == seen[1]
