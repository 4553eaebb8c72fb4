"""What is on the disks, so that what an installation leaves there can be told.

Left out are the kernel's file systems, the second disk, and what systemd, udev and
the runtimes keep for themselves while they run.
"""

from __future__ import annotations

import re
from typing import Dict, Set

from tests.vm.inside.machine import run

Listing = Dict[str, str]

NOT_LOOKED_AT = (
    *("/run/systemd", "/run/udev", "/run/user", "/run/docker", "/run/containerd"),
    *("/var/lib/docker", "/var/lib/containerd", "/run/log/journal", "/var/log/journal"),
)
# What may be there after an installation though no package owns it, and whose it is.
EXCEPTIONS = {
    "dpkg's and apt's records": r"/var/(lib|cache)/(dpkg|apt|debconf)/.*|/var/log/(apt/.*|dpkg\.log)",
    "deb-systemd-helper's record of what it enabled": r"/var/lib/systemd/deb-systemd-helper-enabled(/.*)?",
    "enabled units": r"/etc/systemd/system/[a-z-]+\.target\.wants(/pull-watchdog[a-z-]*\.(service|socket))?",
    "the agent's user": r"/etc/(passwd|group|shadow|gshadow)-?|/etc/\.pwd\.lock",
    "compiled by py3compile": r"/usr/share/pull-watchdog/.*__pycache__(/.*)?",
    "its state": r"/var/lib/pull-watchdog(/.*)?",
    "its PrivateTmp=": r"(/var)?/tmp/systemd-private-[0-9a-f]+-pull-watchdog\.service-\w+(/tmp)?",
    "its runtime directories": r"/run/pull-watchdog(-act|-env)?(/.*)?",
    "systemd's own, at any time": r"/var/lib/systemd/(timers|timesync)/.*|/run/utmp|/var/log/[wb]tmp",
    "these checks": r"/tmp/pytest-of-root(/.*)?",
}


def listing() -> Listing:
    """Every path, with what tells that it was changed; of a folder, its owner and mode."""
    prune = [word for place in NOT_LOOKED_AT for word in ("-path", place, "-prune", "-o")]
    shown = ("-type", "d", "-printf", r"%p\t%M %U:%G\n", "-o", "-printf", r"%p\t%M %U:%G %s %T@ %l\n")
    lines = run("find", "/", "/run", "/tmp", "-xdev", *prune, *shown).splitlines()
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


def changed(before: Listing, after: Listing) -> Set[str]:
    """The paths that are new, are gone, or are not what they were."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def unexplained(paths: Set[str]) -> Set[str]:
    """Those that no exception names."""
    return {one for one in paths if not any(re.fullmatch(why, one) for why in EXCEPTIONS.values())}
