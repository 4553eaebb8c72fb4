"""Law 7: killed at any point and started again, the agent converges.

Every prefix of every story is cut off: the agent dies after each of its ticks,
alone or with the act process at each of its steps, and a new one goes on with
what is left.  In the end the pull is done, each effect was made once at the
most, and nothing is open.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Set

import pytest

from tests.core.machine import BIG, MIB
from tests.core.scene import Scene, enforce
from watchdog.core.observation import Outcome
from watchdog.core.policy import DEFAULT_ON, Mode, Policy, Remedy
from watchdog.core.tick import Decision

SETTLES_AFTER = 2  # looks until the new agent has the ledger settled
CRASHES = ("before_intent", "after_intent", "after_effect", "after_result")


class Mortal(Scene):
    """Its agent dies after the look `dies_at`; the act process then, too, unless `crash` is "alone"."""

    def __init__(self, dies_at: int, crash: str, policy: Optional[Policy] = None) -> None:
        super().__init__(policy)
        self.dies_at, self.crash = dies_at, crash
        self.made: Set[str] = set()  # the actions whose effect was made
        self.arrived: List[str] = []

    def arrive(self, reference: str, action: str = "pull") -> None:
        self.arrived.append(reference)
        super().arrive(reference, action)

    def live(self, looks: int) -> None:
        """Look that often, with a death in between."""
        while len(self.frames) < looks:
            tick = self.tick()
            if len(self.frames) == self.dies_at:
                self.restart_agent()
            if len(self.frames) == self.dies_at + SETTLES_AFTER:
                self.settle()
            if len(self.frames) > self.dies_at + SETTLES_AFTER and not tick.active:
                break

    def carry_out(self, decision: Decision) -> None:
        if len(self.frames) != self.dies_at or self.crash == "alone":
            super().carry_out(decision)
            return
        remedy, action = decision.remedy or "", "the-last-one"
        reached = CRASHES.index(self.crash)
        if reached >= 1:
            self.write(action, "intent", decision.incident, remedy)
        if reached >= 2:
            self.effect(remedy, decision.incident)
            self.made.add(action)
        if reached >= 3:
            self.write(action, "result", decision.incident, remedy, Outcome.DONE)

    def settle(self) -> None:
        """What a new agent orders first: the result of each action that was cut short."""
        ended = {one.action for one in self.ledger.entries if one.phase == "result"}
        for one in self.ledger.entries:
            if one.phase == "intent" and one.action not in ended:
                outcome = Outcome.DONE if one.action in self.made else Outcome.REFUSED
                self.write(one.action, "result", one.incident, one.remedy, outcome)


def _hangs_once(kind: str) -> Callable[[Mortal], None]:
    def begin(scene: Mortal) -> None:
        scene.hang(scene.pull(size=60 * MIB), kind)

    return begin


def _hangs_always(scene: Mortal) -> None:
    scene.fault = "blocked"
    scene.pull(size=60 * MIB)


def _two_clients(scene: Mortal) -> None:
    scene.hang(scene.pull(size=60 * MIB), "blocked")
    scene.client(BIG)


STORIES: Dict[str, Callable[[Mortal], None]] = {
    "stopped": _hangs_once("stopped"),
    "untar stopped": _hangs_once("untar_stopped"),
    "daemon stopped": _hangs_once("daemon_stopped"),
    "spinning": _hangs_once("spinning"),
    "blocked": _hangs_once("blocked"),
    "untar blocked": _hangs_once("untar_blocked"),
    "blocked at every pull": _hangs_always,
    "two clients": _two_clients,
}
LOOKS = {"blocked at every pull": 70}


def told(name: str, dies_at: int, crash: str) -> Mortal:
    scene = Mortal(dies_at, crash)
    STORIES[name](scene)
    scene.live(LOOKS.get(name, 30) + 80)
    return scene


def decision_frames(name: str) -> List[int]:
    """After which looks of the undisturbed story something is begun."""
    scene = told(name, dies_at=0, crash="alone")
    return [number for number, tick in enumerate(scene.ticks, start=1) if any(scene_acts(tick))]


def scene_acts(tick: object) -> List[bool]:
    return [one.call.value == "act" for one in tick.decisions]


def check(scene: Mortal, context: str) -> None:
    """The pull is done, every effect was made once at the most, and nothing is open."""
    assert BIG in scene.arrived, f"{context}: the image never came: {scene.story}"
    assert len(scene.effects) == len(set(scene.effects)), f"{context}: twice: {scene.effects}"
    still_open = [one for one in scene.incidents if one["state"] not in ("recovered", "cleared", "gone")]
    assert not still_open, f"{context}: {[(one['state'], one['next']) for one in still_open]}"
    assert not scene.ticks[-1].active, context


@pytest.mark.parametrize("name", STORIES)
def test_an_agent_that_dies_alone_after_any_look(name):
    for dies_at in range(LOOKS.get(name, 30)):
        check(told(name, dies_at, "alone"), f"{name}, dead after look {dies_at}")


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("name", STORIES)
def test_an_agent_that_dies_with_its_action(name, crash):
    frames = decision_frames(name)
    assert frames
    for dies_at in frames:
        check(told(name, dies_at, crash), f"{name}, dead at look {dies_at}, {crash}")


@pytest.mark.parametrize("dies_at", range(1, 60, 7))
def test_a_hopeless_case_is_given_up_all_the_same(dies_at):
    """And its budget is no larger for the death."""
    scene = Mortal(
        dies_at, "alone", Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR})
    )
    _hangs_always(scene)
    scene.live(200)

    assert [record["state"] for record in scene.incidents][-1] == "gave_up"
    assert [remedy for remedy, _ in scene.effects].count("kill_decompressor") == 3


@pytest.mark.parametrize("dies_at", range(1, 30, 4))
def test_what_is_not_to_be_touched_is_not_touched_by_a_new_agent_either(dies_at):
    scene = Mortal(dies_at, "alone", enforce(*Remedy))
    scene.hang(scene.pull(), "frozen_v2")
    scene.live(60)

    assert scene.decided == []
