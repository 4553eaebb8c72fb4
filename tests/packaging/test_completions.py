"""A Tab offers what the command line takes, in each of the three shells, and does not start the program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import pytest

from tests.packaging.conftest import PACKAGING, needs, run
from watchdog.cli import build_parser
from watchdog.core.policy import Remedy

REMEDIES = [remedy.value for remedy in Remedy]
BASH = """
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_pull_watchdog
printf '%s\\n' "${COMPREPLY[@]}"
"""
# A terminal of its own: completion works in an interactive shell only.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT=; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -D -u; LISTMAX=1000"
zpty -w shell "bindkey '^I' complete-word; zstyle ':completion:*' list-prompt ''; print -r READY''1"
zpty -r shell out '*READY1*'
zpty -w -n shell "$2"$'\\t\\t'
zpty -w -n shell $'\\C-a#\\n'
zpty -w shell "print -r READY''2"
zpty -r shell out '*READY2*'
print -r -- "$out"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the completions, as the packages carry them."""
    out = tmp_path_factory.mktemp("completions")
    paths = [str(out / name) for name in ("bash", "_pull-watchdog", "fish")]
    run(sys.executable, "-B", str(PACKAGING / "completions.py"), *paths)
    return out


def bash(made: Path, *words: str) -> List[str]:
    needs("bash")
    return run("bash", "--norc", "-c", BASH, "bash", str(made / "bash"), *words).split()


def fish(made: Path, line: str) -> List[str]:
    needs("fish")
    said = run("fish", "--no-config", "-c", f"source {made}/fish; complete -C '{line}'")
    return [one.split("\t")[0] for one in said.splitlines()]


def test_bash_offers_commands_options_and_remedies(made: Path) -> None:
    assert {"run", "status", "act", "revert"} <= set(bash(made, "pull-watchdog", ""))
    assert bash(made, "pull-watchdog", "stat") == ["status"]
    assert bash(made, "pull-watchdog", "act", "") == REMEDIES
    assert bash(made, "pull-watchdog", "act", "resu") == ["resume"]
    assert bash(made, "pull-watchdog", "act", "resume", "--in") == ["--incident"]
    assert bash(made, "pull-watchdog", "status", "--j") == ["--json"]
    assert bash(made, "pull-watchdog", "status", "--in") == []


def test_bash_offers_files_only_where_one_is_meant(made: Path, tmp_path: Path) -> None:
    (tmp_path / "a b.yaml").touch()
    offered = run("bash", "-c", BASH, "bash", f"{made}/bash", "pull-watchdog", "run", "-c", f"{tmp_path}/a")
    assert offered == f"{tmp_path}/a b.yaml\n"
    assert bash(made, "pull-watchdog", "pause", "--reason", f"{tmp_path}/a") == []


def test_fish_offers_the_same(made: Path) -> None:
    assert {"run", "status", "act", "revert"} <= set(fish(made, "pull-watchdog "))
    assert sorted(fish(made, "pull-watchdog act ")) == sorted(REMEDIES)
    assert fish(made, "pull-watchdog act resume --in") == ["--incident"]
    assert fish(made, "pull-watchdog status --in") == []


def test_zsh_offers_the_same(made: Path) -> None:
    needs("zsh")
    run("zsh", "-n", str(made / "_pull-watchdog"))
    assert "incidents" in _zsh(made, "pull-watchdog ")
    assert "substitute_decompressor" in _zsh(made, "pull-watchdog act ")
    assert "--incident" in _zsh(made, "pull-watchdog act resume --")
    assert "--incident" not in _zsh(made, "pull-watchdog status --")


def _zsh(made: Path, line: str) -> str:
    return run("zsh", "-f", "-c", ZSH, "zsh", str(made), line)


@pytest.mark.parametrize("name", ["bash", "_pull-watchdog", "fish"])
def test_every_command_of_the_help_is_there_and_none_that_it_hides(made: Path, name: str) -> None:
    text = (made / name).read_text()
    parser = build_parser()
    (commands,) = [one for one in parser._actions if one.dest != "help" and isinstance(one.choices, dict)]
    shown = {one.dest for one in commands._get_subactions()}
    for command in commands.choices:
        assert (f" {command} " in text.replace("'", " ").replace(":", " ").replace(")", " ")) == (
            command in shown
        )


def test_a_tab_starts_no_python(made: Path) -> None:
    for name in ("bash", "_pull-watchdog", "fish"):
        assert "python" not in (made / name).read_text()
