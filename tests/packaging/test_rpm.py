"""The RPM holds the same files as the Debian package, and its scriptlets do something."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packaging.conftest import installed_paths, run
from watchdog import __version__


def test_contents_are_exactly_the_list(rpm: Path) -> None:
    listed = run("rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\\n]", str(rpm)).splitlines()
    files = [line.split(" ", 1)[1] for line in listed if not line.startswith("d")]
    documents = [
        f"/usr/share/doc/pull-watchdog-{__version__}/CHANGELOG.md",
        f"/usr/share/doc/pull-watchdog-{__version__}/README.md",
        f"/usr/share/licenses/pull-watchdog-{__version__}/LICENSE",
        "/usr/share/man/man8/pull-watchdog.8",
    ]
    assert sorted(files) == sorted(installed_paths() + documents)


def test_version_is_the_programs_own(rpm: Path) -> None:
    assert run("rpm", "-qp", "--queryformat", "%{VERSION} %{ARCH}", str(rpm)) == f"{__version__} noarch"


def test_only_the_configuration_is_the_operators(rpm: Path) -> None:
    assert run("rpm", "-qpc", str(rpm)).split() == ["/etc/pull-watchdog/config.yaml"]


@pytest.mark.parametrize(
    ("tag", "does"),
    [
        ("POSTIN", "systemctl --no-reload preset pull-watchdog.service"),
        ("POSTIN", "systemd-tmpfiles --create pull-watchdog.conf"),
        ("PREUN", "systemctl --no-reload disable --now pull-watchdog.service"),
        ("PREUN", "pull-watchdog revert --all"),
        ("POSTUN", "systemctl daemon-reload"),
        ("POSTTRANS", "systemctl try-restart pull-watchdog.service"),
    ],
)
def test_scriptlets_are_written_out(rpm: Path, tag: str, does: str) -> None:
    """Where the distribution has no systemd macros they would be empty."""
    script = run("rpm", "-qp", "--queryformat", f"%{{{tag}}}", str(rpm))
    assert does in script
    assert "%" not in script
    subprocess.run(["sh", "-n"], input=script.encode(), check=True)
