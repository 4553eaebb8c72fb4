"""How often something is tried."""

from __future__ import annotations

import pytest

from tests.core.deciding import assert_acts, assert_refuses, assert_waits, scene_with, use
from tests.core.scene import Scene, enforce
from watchdog.core.observation import (
    Outcome,
)
from watchdog.core.policy import (
    DAY_NS,
    DEFAULT_BUDGETS,
    DEFAULT_ON,
    SECOND_NS,
    Budget,
    Mode,
    Policy,
    Remedy,
)

OTHER = "localhost:5000/other:1"


@pytest.fixture
def blocked() -> Scene:
    """A hung decompressor, confirmed; decisions are only told."""
    return scene_with("blocked", Scene(acts=False))


@pytest.fixture
def unprevented() -> Scene:
    """As `blocked`, where a fault that comes back is only freed."""
    policy = Policy(mode=Mode.ENFORCE, remedies_on=DEFAULT_ON - {Remedy.SUBSTITUTE_DECOMPRESSOR})
    return scene_with("blocked", Scene(policy, acts=False))


def test_a_spent_budget_is_given_up(unprevented):
    use(unprevented, "kill_decompressor", 3)

    assert_refuses(
        unprevented, "the budget of kill_decompressor for decompressor_blocked is spent", "gave_up"
    )
    assert "budget" in unprevented.incident["next"]


def test_the_last_of_a_budget_is_used(unprevented):
    use(unprevented, "kill_decompressor", 2)

    assert_acts(unprevented, "kill_decompressor")


def test_the_budget_of_another_cause_is_another(unprevented):
    use(unprevented, "kill_decompressor", 3, cause="decompressor_spinning")

    assert_acts(unprevented, "kill_decompressor")


def test_a_cool_down_is_waited_for():
    policy = enforce(budgets={**DEFAULT_BUDGETS, Remedy.RESUME: Budget(3, DAY_NS, 63 * SECOND_NS)})
    scene = scene_with("stopped", Scene(policy, acts=False))
    use(scene, "resume")

    assert_waits(scene, "resume again in 2 s")
    scene.tick()
    assert_acts(scene, "resume")


def test_budgets_left_are_told(blocked):
    use(blocked, "kill_decompressor", 2)
    blocked.tick()

    assert ("kill_decompressor", "decompressor_blocked", 1) in blocked.ticks[-1].budgets
    assert ("resume", "decompressor_stopped", 6) in blocked.ticks[-1].budgets


def test_a_refused_action_is_tried_again_later_and_given_up_at_last():
    scene = Scene()
    scene.outcomes["kill_decompressor"] = Outcome.REFUSED
    scene_with("blocked", scene, looks=10)

    assert_waits(scene, "kill_decompressor again in ")
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] * 3
    assert scene.incident["next"].endswith("kill_decompressor: it is refused")


def test_a_failed_action_is_tried_twice():
    scene = Scene()
    scene.outcomes["kill_decompressor"] = Outcome.FAILED
    scene_with("blocked", scene)
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] * 2


def test_an_action_that_ended_without_a_word_is_tried_once_more():
    """The next one finds out from the machine first what became of its predecessor."""
    scene = Scene()
    scene.outcomes["kill_decompressor"] = None
    scene_with("blocked", scene)
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"] * 2


def test_an_action_whose_end_is_unknown_to_the_ledger_too_is_not_repeated():
    scene = Scene()
    scene.outcomes["kill_decompressor"] = Outcome.EXPIRED
    scene_with("blocked", scene)
    scene.until("gave_up")

    assert scene.decided == ["kill_decompressor"]
    assert "kill_decompressor did not help" in scene.incident["next"]
