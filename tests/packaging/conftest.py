"""The packages, built once from this checkout, and a way to run what they hold as if it were installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import List

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGING = CHECKOUT / "packaging"
BUILD_DEADLINE_S = 300

# In a mount namespace of its own: the package's files above the host's /usr, then the command.
_AS_INSTALLED = """
mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr || exit 125
shift
exec "$@"
"""


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """What looks into one package is run by one worker, so that it is built once."""
    for item in items:
        for package in {"deb", "rpm"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(package))


def needs(*programs: str) -> None:
    """Skip the test where one of these is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed here: {', '.join(missing)}")


def run(*command: str, deadline_s: float = 60.0, cwd: Path = CHECKOUT) -> str:
    """What a program prints.  Raises AssertionError with it when the program fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=deadline_s,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{' '.join(command)}: status {done.returncode}: {said[-3000:]}"
    return said


def installed_paths() -> List[str]:
    """Every file that is installed, and nothing else: the list that both packages are held against."""
    modules = sorted(str(one.relative_to(CHECKOUT)) for one in (CHECKOUT / "watchdog").rglob("*.py"))
    return sorted(
        [
            "/etc/pull-watchdog/config.yaml",
            "/usr/bin/pull-watchdog",
            "/usr/lib/pull-watchdog/probes/compat.h",
            "/usr/lib/pull-watchdog/probes/events.h",
            "/usr/lib/pull-watchdog/probes/process_life.bpf.c",
            "/usr/lib/pull-watchdog/probes/pull_watchdog.bpf.c",
            "/usr/lib/pull-watchdog/probes/pull_watchdog.bpf.o",
            "/usr/lib/pull-watchdog/probes/tcp_life.bpf.c",
            "/usr/libexec/pull-watchdog/undo-all",
            "/usr/share/bash-completion/completions/pull-watchdog",
            "/usr/share/fish/vendor_completions.d/pull-watchdog.fish",
            "/usr/share/pull-watchdog/grafana/dashboard.json",
            "/usr/share/pull-watchdog/prometheus/alerts.yml",
            "/usr/share/pull-watchdog/prometheus/scrape.yml",
            "/usr/lib/systemd/system/containerd.service.d/pull-watchdog.conf",
            "/usr/lib/systemd/system/docker.service.d/pull-watchdog.conf",
            "/usr/lib/systemd/system/pull-watchdog-act.socket",
            "/usr/lib/systemd/system/pull-watchdog-act@.service",
            "/usr/lib/systemd/system/pull-watchdog.service",
            "/usr/lib/sysusers.d/pull-watchdog.conf",
            "/usr/lib/tmpfiles.d/pull-watchdog.conf",
            *(f"/usr/share/pull-watchdog/{module}" for module in modules),
        ]
    )


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package."""
    needs("dpkg-buildpackage", "dh", "dh_python3", "clang", "llvm-strip")
    out = tmp_path_factory.mktemp("deb")
    run("sh", str(PACKAGING / "debian/build.sh"), str(out), deadline_s=BUILD_DEADLINE_S)
    (package,) = out.glob("*.deb")
    return package


@pytest.fixture(scope="session")
def rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The RPM."""
    needs("rpmbuild", "rpm", "clang", "llvm-strip")
    out = tmp_path_factory.mktemp("rpm")
    run("sh", str(PACKAGING / "rpm/build.sh"), str(out), deadline_s=BUILD_DEADLINE_S)
    (package,) = out.glob("*.rpm")
    return package


class Installed:
    """The Debian package, unpacked, and run where it would be installed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, cwd: Path = Path("/")) -> str:
        """Run a command with the package's /usr laid over the host's, which stays as it is."""
        return run(
            "unshare",
            "--mount",
            "--propagation",
            "slave",
            "sh",
            "-c",
            _AS_INSTALLED,
            "sh",
            str(self.root),
            *command,
            cwd=cwd,
        )

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()


@pytest.fixture(scope="session")
def installed(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Skips where no overlay can be mounted."""
    root = tmp_path_factory.mktemp("root")
    run("dpkg", "-x", str(deb), str(root))
    package = Installed(root)
    if os.geteuid() != 0:
        pytest.skip("only root can mount the package over the host's /usr")
    try:
        package.run("true")
    except AssertionError as error:
        pytest.skip(f"no overlay can be mounted here: {error}")
    return package
