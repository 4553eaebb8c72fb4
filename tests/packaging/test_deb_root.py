"""The Debian package in a fresh Debian 12: apt installs it, twice is as once, and a purge leaves nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import List, Set

import pytest

from tests.packaging.conftest import needs, run
from watchdog import __version__

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "deb_root.sh"
LIFE_DEADLINE_S = 600.0

# What changes with every use of dpkg, whatever the package.
OF_DPKG = re.compile(r"/var/lib/dpkg/|/var/log/(dpkg\.log|apt/)|/var/lib/apt/")
# The group docker is made for the user where Docker is not installed yet, and stays; tools keep copies.
OF_USERS = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid|\.pwd\.lock)-?\t")


class Life:
    """What each step of deb_root.sh said or left."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def said(self, step: str) -> str:
        return (self.out / step).read_text()

    def files(self, step: str) -> Set[str]:
        """Each file as a path, with a tab before its mode, its link or its checksum."""
        return {line for line in self.said(step).splitlines() if not OF_DPKG.match(line)}

    def changed(self, before: str, after: str) -> Set[str]:
        """What differs, without what no removal of a user can put back."""
        return {one for one in self.files(before) ^ self.files(after) if not OF_USERS.match(one)}

    def starts(self, step: str) -> List[str]:
        """The calls that start or stop our units."""
        return [
            line for line in self.said(step).splitlines() if re.search(r"\b(re)?(start|stop) pull-", line)
        ]


@pytest.fixture(scope="module")
def life(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """Skips where no root can be made."""
    needs("mmdebstrap", "unshare")
    if os.geteuid() != 0:
        pytest.skip("only root can make a root to install into")
    root = tmp_path_factory.mktemp("debian")
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private")
    try:
        run(*alone, "mount", "-t", "tmpfs", "tmpfs", str(root))
    except AssertionError as error:
        pytest.skip(f"nothing can be mounted here: {error}")
    try:
        run(*alone, "sh", str(SCRIPT), str(deb), str(root), deadline_s=LIFE_DEADLINE_S)
        return Life(Path(shutil.copytree(root / "root/out", tmp_path_factory.mktemp("life") / "out")))
    finally:
        shutil.rmtree(root)  # hundreds of megabytes; what was mounted there is gone with the namespace


def test_apt_installs_it_with_what_it_needs_and_it_runs(life: Life) -> None:
    assert life.said("version") == f"pull-watchdog {__version__}\n"
    assert life.said("enabled") == "enabled\n"
    levels = {one["id"]: one["level"] for one in json.loads(life.said("doctor"))}
    assert levels["config"] == "ok"
    assert life.said("doctor.err") == ""
    assert life.files("used") == life.files("installed")  # neither leaves a file, or compiles a module anew


def test_apt_has_nothing_to_do_the_second_time(life: Life) -> None:
    assert "is already the newest version" in life.said("again")
    assert life.files("again.files") == life.files("installed")


def test_purged_by_apt_it_is_gone_with_its_user(life: Life) -> None:
    assert any("pull-watchdog" in one for one in life.files("installed"))
    assert [one for one in life.files("purged") if "watchdog" in one] == []
    assert life.said("user").startswith("pull-watchdog:x:")


@pytest.mark.parametrize("step", ["told.purged", "told.after"])
def test_purged_no_file_speaks_of_it_but_copies_that_the_tools_of_users_keep(life: Life, step: str) -> None:
    copies = {f"/etc/{name}-" for name in ("group", "gshadow", "passwd", "shadow")}
    assert set(life.said(step).splitlines()) <= copies


def test_purged_after_use_every_file_is_as_before(life: Life) -> None:
    assert "/etc/pull-watchdog/conf.d/50-site.yaml" in life.said("removed")  # there was something to purge
    assert "/var/lib/pull-watchdog/incidents/x.json" in life.said("removed")
    assert life.changed("before", "after") == set()


def test_a_changed_configuration_is_kept_without_a_question(life: Life) -> None:
    assert life.said("kept").endswith("# a note\n")
    assert "?" not in life.said("dpkg.again")


def test_the_agent_is_started_once_restarted_once_and_stopped_before_it_goes(life: Life) -> None:
    (start,) = life.starts("install.calls")
    assert "start pull-watchdog.service" in start
    (restart,) = life.starts("again.calls")
    assert "restart pull-watchdog-act.socket pull-watchdog.service" in restart
    (stop,) = life.starts("remove.calls")
    assert "stop pull-watchdog.service pull-watchdog-act.socket" in stop


def test_directories_and_user_are_there_when_it_is_started(life: Life) -> None:
    (start,) = life.starts("install.calls")
    assert "/run/pull-watchdog-env" in start
    assert "| pull-watchdog " in start
    assert "/run/pull-watchdog " in start and "/var/lib/pull-watchdog" in start


def test_the_removal_undoes_what_is_in_force_even_if_the_configuration_is_broken(life: Life) -> None:
    assert "10.0.0.9 registry.example" in life.said("hosts.changed")
    assert life.said("hosts.removed") == life.said("hosts.before")
    said = life.said("dpkg.remove")
    assert "60-broken.yaml:1: mode cannot be" in said
    assert "act-1: done: registry.example leads where it did" in said


def test_nothing_else_undoes_anything(life: Life) -> None:
    assert "leads where it did" not in life.said("dpkg.again") + life.said("dpkg.purge")
