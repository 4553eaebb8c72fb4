"""What the tests of decisions share."""

from __future__ import annotations

from dataclasses import replace

from tests.core.scene import Scene
from watchdog.core.observation import Outcome
from watchdog.core.policy import SECOND_NS
from watchdog.core.tick import Call, Decision


def scene_with(kind: str, scene: Scene, looks: int = 12, **form: object) -> Scene:
    """A pull that hangs in that way, and has been confirmed where that is possible."""
    scene.hang(scene.pull(**form), kind)
    scene.tick(looks)
    return scene


def last(scene: Scene) -> Decision:
    scene.tick()
    return scene.decision


def assert_acts(scene: Scene, remedy: str) -> None:
    decision = last(scene)
    assert (decision.call, decision.remedy) == (Call.ACT, remedy), decision.reason


def assert_waits(scene: Scene, reason: str) -> None:
    decision = last(scene)
    assert (decision.call, decision.remedy) == (Call.WAIT, None)
    assert reason in decision.reason


def assert_refuses(scene: Scene, reason: str, state: str = "confirmed") -> None:
    decision = last(scene)
    assert (decision.call, decision.remedy) == (Call.REFUSE, None)
    assert reason in decision.reason
    assert scene.incident["state"] == state


def use(scene: Scene, remedy: str, times: int = 1, outcome: Outcome = Outcome.DONE, **more: object) -> None:
    """The ledger knows that the remedy was used for this cause, on earlier processes."""
    for _ in range(times):
        action = f"{remedy}-{len(scene.ledger.entries)}"
        fields = {"culprit": None, "wall_ns": scene.wall_ns - 60 * SECOND_NS, **more}
        incident = scene.incident["id"]
        scene.write(action, "intent", incident, remedy, **fields)
        scene.write(action, "result", incident, remedy, outcome, **fields)
        earlier = tuple(replace(one, incident=f"pw-{action}") for one in scene.ledger.entries[-2:])
        scene.ledger = replace(scene.ledger, entries=(*scene.ledger.entries[:-2], *earlier))
