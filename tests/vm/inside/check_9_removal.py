"""Removing the package leaves nothing behind.  Last, because little can be checked after it."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path
from typing import Iterator, Set

import pytest

from tests.lab import images, sight
from tests.lab.faults import Fault, Form
from tests.vm.inside import package
from tests.vm.inside.machine import mounts, prop, run
from tests.vm.inside.node import AGENT, CONTAINERD_PULLS, DOCKER, Node

LINK = Path("/usr/local/sbin/unpigz")
PLACES = ("/etc", "/usr", "/var", "/run", "/tmp", "/lib/systemd")
UNITS = (AGENT, "pull-watchdog-act.socket")
# What apt and the journal remember of it, docker's own copies of files, and what another check has made.
NOT_OURS = ("/var/log", "/var/cache/apt", "/var/lib/docker", "/run/log", "/tmp/pytest-of-")


@pytest.fixture
def purged(node: Node) -> Iterator[Node]:
    """The package is there again afterwards, for the cleaning that follows each check."""
    yield node
    package.install(package.built())


@pytest.mark.parametrize("form", ["link", "mount"])
def check_purge(purged: Node, form: str) -> None:
    """Purged in mid-incident with unpigz substituted: no change, file, unit or user is left; docker works."""
    node = purged
    if form == "mount":
        CONTAINERD_PULLS.mkdir(parents=True)
    try:
        node.begin("observe")
        node.unpigz.install(Form.BINARY)
        node.unpigz.arm(Fault.PAUSE)
        pull = node.pull(images.SMALL)
        incident = str(node.incident("decompressor_blocked", "confirmed")["id"])
        assert node.act("substitute_decompressor", incident)["outcome"] == "done"
        assert _substitutes(node) == {form}
        package.purge()
        _nothing_is_left(node)
        pull.kill()
    finally:
        if form == "mount":
            CONTAINERD_PULLS.rmdir()


def _substitutes(node: Node) -> Set[str]:
    """By what unpigz is replaced now."""
    forms = {"link": LINK.is_symlink(), "mount": str(node.unpigz.path) in mounts()}
    return {form for form, is_there in forms.items() if is_there}


def _nothing_is_left(node: Node) -> None:
    assert _substitutes(node) == set()
    assert [one for one in UNITS if prop(one, "LoadState") != "not-found"] == []
    found = (path for place in PLACES for path in Path(place).rglob("*pull[-_]watchdog*"))
    assert [str(path) for path in found if _is_ours(path)] == []
    assert "pull-watchdog" not in {one.pw_name for one in pwd.getpwall()}
    assert "pull-watchdog" not in {one.gr_name for one in grp.getgrall()}
    assert "pull-watchdog" not in run("ps", "-eo", "args")
    assert "pull-watchdog" not in run("systemctl", "show", "-p", "EnvironmentFiles,DropInPaths", DOCKER)
    node.unpigz.disarm()
    if sight.decompressors(node.dockerd):
        node.restart_docker()
    assert node.pull(images.OTHER).wait(300) == 0


def _is_ours(path: Path) -> bool:
    return not str(path).startswith(NOT_OURS)
