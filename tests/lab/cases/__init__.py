"""The lab cases: what was promised of a hung pull, tried on the real thing.

A case is a function that raises AssertionError when a promise does not hold, and
returns what it measured.  `tests/lab/test_cases.py` runs each once; `./dev lab`
runs each several times and prints the table of the README.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.lab.agent import Agent
from tests.lab.lab import Lab
from tests.lab.processes import wait_until

CONFIRMED_WITHIN_S = 15.0
IMAGE_WITHIN_S = 45.0


@dataclass(frozen=True)
class Measured:
    """What a run of a case took, in seconds from the hang, and what else was seen."""

    seconds: dict[str, float] = field(default_factory=dict)
    seen: str = ""


@dataclass(frozen=True)
class Case:
    """A name for the table, what is wanted, and the function that tries it.

    `once`: it takes minutes, or has no times to be compared, so that one run tells all.
    """

    name: str
    wanted: str
    run: Callable[[], Measured]
    once: bool = False


def hung(lab: Lab) -> None:
    """Wait until the pull in the lab stands still."""
    wait_until(lambda: lab.dockerd.stands_still(0.3), "the pull stands still", 60.0)


def open_incidents(agent: Agent) -> list[dict[str, Any]]:
    """The incidents whose story is not over."""
    return [one for one in agent.incidents() if one["resolved_at"] is None]


def actions(agent: Agent) -> list[str]:
    """The names of all actions of all incidents."""
    return [action["name"] for one in agent.incidents() for action in one["actions"]]


def check(holds: object, promise: str) -> None:
    """Raise AssertionError with the promise that does not hold."""
    if not holds:
        raise AssertionError(promise)
