"""The configuration file that is installed says the defaults, and says them truly."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from tests.packaging.conftest import PACKAGING
from watchdog.config import Config, load
from watchdog.core.policy import Mode

FILE = PACKAGING / "config/config.yaml"


def test_as_installed_it_changes_nothing() -> None:
    assert dataclasses.replace(load(FILE), path=None) == Config()
    assert load(FILE).policy.mode is Mode.OBSERVE


def test_each_default_that_it_shows_is_the_default(tmp_path: Path) -> None:
    """Settings stand behind "#" without a space; taken out of the comments they change nothing."""
    told = re.sub(r"^#(?! )", "", FILE.read_text(), flags=re.MULTILINE)
    told = re.sub(r"^#(?=  )", "", told, flags=re.MULTILINE)
    shown = tmp_path / "config.yaml"
    shown.write_text(told)
    assert "\nmode: observe\n" in told
    assert "\n  restart_runtime: off\n" in told
    assert dataclasses.replace(load(shown), path=None) == Config()
