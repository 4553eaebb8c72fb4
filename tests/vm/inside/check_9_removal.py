"""Removing the package leaves nothing behind.  Last, because nothing can be checked after it."""

from __future__ import annotations

from pathlib import Path

from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.vm.inside.machine import prop, run
from tests.vm.inside.node import AGENT, Node

PLACES = ("/etc", "/usr", "/var/lib", "/run", "/lib/systemd")


def check_purge(node: Node) -> None:
    """Purging stops it, takes a substitution back, and leaves no file."""
    node.begin("enforce")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.SPIN)
    node.pull(images.SMALL)
    link = Path("/usr/local/sbin/unpigz")
    node.wait("a link is made", link.is_symlink)
    node.wait("the image is there", lambda: node.has(images.SMALL))
    run("dpkg", "-P", "pull-watchdog")
    assert not link.is_symlink()
    assert prop(AGENT, "LoadState") == "not-found"
    left = [str(path) for place in PLACES for path in Path(place).rglob("*pull?watchdog*")]
    assert left == []
    # For the cleaning that follows each check.
    run("dpkg", "-i", *map(str, Path("/srv/dist").glob("*.deb")))
