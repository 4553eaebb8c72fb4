"""For all tests: a busy machine makes examples slow, and that is no failure; and a configuration to load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from watchdog.config import Config

Load = Callable[[str], "Config"]

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The configuration that a text is."""
    from watchdog import config

    def read(text: str) -> Config:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return config.load(path)

    return read
