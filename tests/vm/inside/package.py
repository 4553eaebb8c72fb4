"""The package as an operator handles it: installed by apt, upgraded, purged; no network is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Set

from tests.vm.inside.machine import run

NAME = "pull-watchdog"
DIST = Path("/srv/dist")
DEADLINE_S = 300.0


def built() -> Path:
    """The package of this checkout."""
    (package,) = DIST.glob("*.deb")
    return package


def install(package: Path, *options: str) -> str:
    """Install or upgrade; what apt says."""
    return run("apt-get", "install", "-y", "-q", *options, str(package), deadline_s=DEADLINE_S)


def install_again() -> str:
    """This checkout's version, in the place of a newer one."""
    return install(built(), "--allow-downgrades")


def purge() -> str:
    return run("apt-get", "purge", "-y", "-q", NAME, deadline_s=DEADLINE_S)


def version() -> str:
    """Of the package that is installed."""
    return run("dpkg-query", "-W", "-f", "${Version}", NAME)


def owned() -> Set[str]:
    """Every path that dpkg counts as the package's."""
    return set(run("dpkg", "-L", NAME).splitlines())


def newer(work: Path) -> Path:
    """The same files under a higher version."""
    tree, package = work / "tree", work / "newer.deb"
    run("dpkg-deb", "-R", str(built()), str(tree))
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines(keepends=True)
    control.write_text("".join(f"{one.rstrip()}+1\n" if one.startswith("Version:") else one for one in lines))
    run("dpkg-deb", "-Zgzip", "-z1", "-b", str(tree), str(package), deadline_s=DEADLINE_S)
    return package
