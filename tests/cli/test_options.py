"""A wrong configuration: what shows goes on showing, what does something does not."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from watchdog import config
from watchdog.cli.options import config_of, config_or_defaults
from watchdog.config import Config
from watchdog.errors import ConfigError

DEFAULT = Namespace(config=None)


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("mode: obzerve\n")
    monkeypatch.setattr(config, "DEFAULT_PATH", path)
    return path


def test_at_the_usual_place_it_is_told_and_the_usual_directories_are_shown(
    wrong: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert config_or_defaults(DEFAULT).run_dir == Config().run_dir
    assert f"{wrong}:1" in capsys.readouterr().err


def test_nothing_is_done_with_it(wrong: Path) -> None:
    with pytest.raises(ConfigError):
        config_of(DEFAULT)


def test_one_that_was_named_is_not_passed_over(wrong: Path) -> None:
    with pytest.raises(ConfigError):
        config_or_defaults(Namespace(config=wrong))
