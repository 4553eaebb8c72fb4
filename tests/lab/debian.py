"""Programs of Debian's packages, unpacked into the cache without being installed.

For runtimes that are not on this machine: no service of theirs is started, no
port is taken, and nothing outside the project's .cache folder changes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab import images
from tests.lab.processes import run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEADLINE_S = 300.0


def unpacked(package: str, *others: str, suite: str = "") -> Path:
    """The folder with the files of these packages; from another `suite` of Debian, or with what they
    need and is missing here, from our own.  Raises RuntimeError where they cannot be had.
    """
    place = images.CACHE / f"unpacked-{package}-{suite or 'own'}"
    with images.cache_lock():
        if not place.exists():
            with tempfile.TemporaryDirectory(prefix="pwdeb-") as folder:
                _download(Path(folder), [package, *others], suite)
                for archive in Path(folder).glob("*.deb"):
                    run("dpkg", "-x", str(archive), f"{folder}/root")
                shutil.move(f"{folder}/root", place)
    return place


def _download(folder: Path, packages: Sequence[str], suite: str) -> None:
    options = _of_suite(folder, suite) if suite else []
    names = [*packages] if suite else _with_missing(packages)
    enter = ["sh", "-c", 'cd "$0" && exec "$@"', str(folder)]
    run(*enter, "apt-get", *options, "-qq", "download", *names, deadline_s=DEADLINE_S)


def _with_missing(packages: Sequence[str]) -> list[str]:
    """The packages that an installation would bring, by its rehearsal."""
    said = run(
        "apt-get", "install", "--simulate", "--no-install-recommends", *packages, deadline_s=DEADLINE_S
    )
    return [line.split()[1] for line in said.splitlines() if line.startswith("Inst ")] or [*packages]


def _of_suite(folder: Path, suite: str) -> list[str]:
    """Options that make apt look at that suite alone, at the mirror that this machine uses."""
    wanted = ("Created-By: Packages", "Origin: Debian", "Component: main")
    mirror = run("apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted).split()[0]
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "archives/partial").mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    options = [
        *("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}"),
    ]
    run("apt-get", *options, "-qq", "update", deadline_s=DEADLINE_S)
    return options
