"""The RPM holds the same files as the Debian package, and its scriptlets do something."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.packaging.conftest import PACKAGING, installed_paths, needs, run
from watchdog import __version__

VENDOR = "/usr/share/pull-watchdog/vendor/structlog/"


def test_contents_are_exactly_the_list(rpm: Path) -> None:
    listed = run("rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\\n]", str(rpm)).splitlines()
    files = [line.split(" ", 1)[1] for line in listed if not line.startswith("d")]
    documents = [
        f"/usr/share/doc/pull-watchdog-{__version__}/CHANGELOG.md",
        f"/usr/share/doc/pull-watchdog-{__version__}/README.md",
        f"/usr/share/licenses/pull-watchdog-{__version__}/LICENSE",
        "/usr/share/man/man5/pull-watchdog.yaml.5.gz",
        "/usr/share/man/man8/pull-watchdog.8.gz",
        "/usr/share/zsh/site-functions/_pull-watchdog",
    ]
    own = [path for path in files if not path.startswith(VENDOR)]
    assert sorted(own) == sorted(installed_paths() + documents)
    assert {f"{VENDOR}__init__.py", f"{VENDOR}LICENSE"} <= set(files)


def test_the_bundled_library_is_declared_with_its_version_and_licence(rpm: Path) -> None:
    version = run(
        "/usr/bin/python3", "-c", "from importlib.metadata import version; print(version('structlog'))"
    )
    provided = run("rpm", "-qp", "--provides", str(rpm)).splitlines()
    assert f"bundled(python3dist(structlog)) = {version.strip()}" in provided
    assert f"{VENDOR}LICENSE" in run("rpm", "-qp", "--licensefiles", str(rpm)).splitlines()
    assert "python3-structlog" not in run("rpm", "-qp", "--requires", str(rpm))


def test_it_needs_what_the_code_imports_and_one_way_to_load_probes(rpm: Path) -> None:
    needed = run("rpm", "-qp", "--requires", str(rpm)).splitlines()
    libraries = ("psutil", "pyyaml", "prometheus_client", "systemd")
    assert {"python3 >= 3.9", *(f"python3-{name}" for name in libraries)} <= set(needed)
    assert "(libbpf >= 1 or python3-bcc)" in needed


def test_rpmlint_has_nothing_to_say(rpm: Path) -> None:
    needs("rpmlint")
    recipe = PACKAGING / "rpm"
    said = run("rpmlint", "-r", f"{recipe}/pull-watchdog.rpmlintrc", str(rpm), f"{recipe}/pull-watchdog.spec")
    assert re.search(r"0 errors, 0 warnings", said), said


def test_version_is_the_programs_own(rpm: Path) -> None:
    assert run("rpm", "-qp", "--queryformat", "%{VERSION} %{ARCH}", str(rpm)) == f"{__version__} noarch"


def test_only_the_configuration_is_the_operators(rpm: Path) -> None:
    assert run("rpm", "-qpc", str(rpm)).split() == ["/etc/pull-watchdog/config.yaml"]


@pytest.mark.parametrize(
    ("tag", "does"),
    [
        ("POSTIN", "systemctl --no-reload preset pull-watchdog.service"),
        ("POSTIN", "systemd-tmpfiles --create pull-watchdog.conf"),
        ("POSTIN", "systemd-sysusers pull-watchdog.conf"),
        ("PREUN", "systemctl --no-reload disable --now pull-watchdog.service pull-watchdog-act.socket"),
        ("PREUN", "/usr/libexec/pull-watchdog/undo-all"),
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
