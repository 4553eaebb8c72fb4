"""The manual pages are complete: what the program knows stands in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.packaging.conftest import PACKAGING, needs, run
from watchdog import config
from watchdog.cli import build_parser
from watchdog.cli.codes import ExitCode
from watchdog.core.policy import Remedy

PAGE = PACKAGING / "man/pull-watchdog.8"
CONFIGURATION = PACKAGING / "man/pull-watchdog.yaml.5"
TEXT = PAGE.read_text()


@pytest.mark.parametrize("page", [PAGE, CONFIGURATION])
def test_it_is_well_formed(page: Path) -> None:
    needs("mandoc")
    said = run("mandoc", "-T", "lint", "-W", "warning", str(page))
    assert said.strip() == ""


def test_every_command_is_told() -> None:
    names = re.findall(r"^    ([a-z]+)\b", build_parser().format_help(), re.MULTILINE)
    assert len(names) >= 9
    assert [name for name in names if not re.search(rf"^\.It Cm {name}$", TEXT, re.MULTILINE)] == []


def test_every_remedy_is_told() -> None:
    assert {remedy.value for remedy in Remedy} <= set(re.findall(r"[a-z0-9_]+", TEXT))


def test_every_key_is_told() -> None:
    words = set(re.findall(r"[a-z0-9_]+", CONFIGURATION.read_text()))
    assert set(config._KEYS) | set(config._RUNTIME_KEYS) <= words


def test_every_exit_code_is_told() -> None:
    section = TEXT.partition(".Sh EXIT STATUS")[2].partition(".Sh")[0]
    assert [int(code) for code in re.findall(r"^\.It (\d+)$", section, re.MULTILINE)] == sorted(ExitCode)
