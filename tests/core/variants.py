"""Scenes in which something is not as it should be."""

from __future__ import annotations

from typing import Optional

from tests.core.machine import MIB
from tests.core.scene import Scene
from watchdog.core.policy import DEFAULT_ON, Mode, Policy, Remedy


class Powerless(Scene):
    """Its remedies end as if they had worked, and change nothing."""

    def effect(self, remedy: str, incident: str) -> None:
        self.effects.append((remedy, 0))


class Unwatched(Scene):
    """Where what is continued runs to its end between two looks, as a small layer does."""

    def continued(self, pid: int) -> None:
        self.extractions.clear()


UNPREVENTED = Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR})


def given_up(policy: Optional[Policy] = None) -> Scene:
    """Every pull hangs, nothing prevents it, the users try again and again: the budget is spent."""
    scene = Scene(policy or UNPREVENTED)
    scene.fault = "blocked"
    scene.pull(size=60 * MIB)
    scene.until("gave_up", within=300)
    return scene
