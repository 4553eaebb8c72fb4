"""Two builds of the same sources are the same bytes: in other places, at other times, by other people."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.packaging.conftest import BUILD_DEADLINE_S, CHECKOUT, needs, run

pytestmark = pytest.mark.slow  # four builds
PARTS = ("watchdog", "probes", "packaging", "LICENSE", "CHANGELOG.md", "README.md")
LONG_AGO_S = 946_684_800  # 2000-01-01, older than any entry of the changelog


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nobody edits in between."""
    tree = tmp_path_factory.mktemp("sources")
    for name in PARTS:
        _copy(CHECKOUT / name, tree / name)
    return tree


@pytest.mark.parametrize(("kind", "needed"), [("deb", "dpkg-buildpackage"), ("rpm", "rpmbuild")])
def test_two_builds_give_the_same_bytes(kind: str, needed: str, sources: Path, tmp_path: Path) -> None:
    needs(needed, "clang")
    recipe = {"deb": "debian", "rpm": "rpm"}[kind]
    other = tmp_path / "somewhere/quite/else"
    shutil.copytree(sources, other)
    for path in [other, *other.rglob("*")]:
        # As a checkout of somebody with umask 077, on a machine whose clock was wrong.
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))

    first = _build(sources, recipe, tmp_path / "first", umask=0o022, zone="UTC")
    time.sleep(1.1)  # what is stamped with the time of the build has seconds
    second = _build(other, recipe, tmp_path / "second", umask=0o077, zone="Asia/Tokyo")

    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def _build(tree: Path, recipe: str, out: Path, umask: int, zone: str) -> Path:
    script = f"umask {umask:03o}; exec sh {tree}/packaging/{recipe}/build.sh {out}"
    under = ("env", "-u", "SOURCE_DATE_EPOCH", f"TZ={zone}", "LC_ALL=C.UTF-8")
    run(*under, "sh", "-c", script, cwd=tree, deadline_s=BUILD_DEADLINE_S)
    (package,) = [one for one in out.iterdir() if one.suffix in (".deb", ".rpm")]
    return package


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
