"""The command line as a whole: help, mistakes, exit codes, the installed form."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT, call
from watchdog import __version__
from watchdog.cli import COMMANDS, build_parser, code_of
from watchdog.errors import ConfigError, Deadline, Refused


def test_help_names_every_command_and_every_exit_code():
    done = call("-h")

    assert done.status == 0
    assert all(f"    {name}" in done.out for name in COMMANDS)
    assert "3  the agent is not running" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    done = call(name, "--help")

    assert done.status == 0
    assert f"usage: pull-watchdog {name}" in done.out


def test_the_version():
    assert call("--version").out == f"pull-watchdog {__version__}\n"


@pytest.mark.parametrize("words", [(), ("stattus",), ("status", "--jsn"), ("act", "resurrect"), ("pause",)])
def test_a_wrong_command_line_is_2(words):
    done = call(*words)

    assert done.status == 2
    assert done.err.startswith("usage: pull-watchdog")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["run", "status", "incidents", "doctor"])
def test_a_wrong_configuration_is_one_line_and_2(name, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("mode: enforced\n")

    done = call(name, "-c", str(path))

    if name == "doctor":  # it goes on and tells it as a finding
        assert "config.yaml:1: mode cannot be" in done.out
        return
    assert done.status == 2
    assert done.err == (f'pull-watchdog: {path}:1: mode cannot be "enforced"; did you mean "enforce"?\n')


def test_a_missing_configuration_is_one_line_and_2(tmp_path):
    done = call("status", "-c", str(tmp_path / "absent.yaml"))

    assert done.status == 2
    assert "no such file" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigError("x"), 2), (Refused("x"), 5), (PermissionError("x"), 8), (Deadline("x"), 1)],
)
def test_errors_have_their_codes(error, code):
    assert code_of(error) == code


def test_a_reader_that_has_seen_enough_is_no_error(host):
    script = f"{sys.executable} -m watchdog incidents -c {host.file} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "0\n"
    assert done.stderr == ""


def test_it_runs_isolated_from_another_directory_as_it_is_installed(host):
    entry = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from watchdog.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-I", "-c", entry, "status", "-c", str(host.file)],
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert "not running" in done.stderr


def test_the_parser_is_made_without_reading_anything():
    assert build_parser().parse_args(["status", "-c", "/nowhere"]).config.name == "nowhere"
