"""The RPM in an empty root: installed, run, installed again and erased, by rpm and its scriptlets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import List

import pytest

from tests.packaging.conftest import installed_paths, run
from watchdog import __version__

SCRIPT = Path(__file__).parent / "rpm_root.sh"


class Story:
    """What each step of rpm_root.sh said or left."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def said(self, step: str) -> str:
        return (self.out / step).read_text()

    def files(self, step: str) -> List[str]:
        """Absolute paths, without rpm's own."""
        paths = ["/" + _path(line) for line in self.said(step).splitlines()]
        return [path for path in paths if not path.startswith("/var/lib/rpm/")]


def _path(line: str) -> str:
    return f"usr/{line[2:]}" if line.startswith("./") else line


@pytest.fixture(scope="module")
def story(rpm: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Skips where a root cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a root to install into")
    root, out = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("out")
    alone = ("unshare", "--mount", "--propagation", "private")
    try:
        run(*alone, "mount", "-t", "tmpfs", "tmpfs", str(root))
    except AssertionError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    run(*alone, "sh", str(SCRIPT), str(rpm), str(root), str(out), deadline_s=240.0)
    return Story(out)


def test_it_lays_out_the_list_and_compiles_for_the_python_there(story: Story) -> None:
    files = story.files("installed")
    assert set(installed_paths()) <= set(files)
    assert any(path.endswith(".pyc") for path in files)
    assert story.said("verify") == ""


def test_the_scriptlets_make_user_and_directories_and_say_nothing_else(story: Story) -> None:
    assert "/etc/group" in story.files("installed")
    assert "\npull-watchdog:x:" in story.said("passwd")
    assert [line for line in story.said("install").splitlines() if not line.startswith("Creating ")] == []


def test_the_program_runs_where_it_was_installed(story: Story) -> None:
    assert story.said("version") == f"pull-watchdog {__version__}\n"
    findings = json.loads(story.said("doctor"))
    assert {"config", "docker.api"} <= {one["id"] for one in findings}
    assert story.said("doctor.err") == ""


def test_the_agent_logs_by_the_bundled_library_where_the_system_has_none(story: Story) -> None:
    assert story.said("structlog").startswith("/usr/share/pull-watchdog/vendor/structlog/")
    lines = [json.loads(line) for line in story.said("run").splitlines()]
    assert "sensor up" in {line["event"] for line in lines}


def test_what_it_recorded_there_is_replayed_there(story: Story) -> None:
    assert "0 incident(s)" in story.said("replay")


def test_a_second_installation_changes_nothing(story: Story) -> None:
    own = {"/etc/pull-watchdog/conf.d/test.yaml", "/tmp/recording"}
    new = set(story.files("updated")) - set(story.files("installed"))
    assert {path for path in new if not path.startswith(("/run/", "/var/lib/pull-watchdog/"))} == own
    assert set(story.files("installed")) <= set(story.files("updated"))


def test_erased_it_leaves_no_file(story: Story) -> None:
    users = {"/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow"}  # a user stays, by Fedora's rules
    locks = {"/etc/.pwd.lock"}
    backups = {f"{path}-" for path in users}
    left = set(story.files("erased")) - set(story.files("before"))
    assert left <= users | locks | backups
