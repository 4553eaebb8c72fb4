"""Scenes for tests that act on a real dockerd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.act.scene import Scene
from tests.lab.agent import Agent
from tests.lab.conftest import _lab_is_possible, lab  # noqa: F401  (fixtures)
from tests.lab.lab import Lab


@pytest.fixture
def scene(lab: Lab) -> Iterator[Scene]:  # noqa: F811
    """A lab of its own, and an agent's configuration beside it; the agent does not run."""
    yield Scene(lab, Agent(lab))
