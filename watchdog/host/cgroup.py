"""Control groups: who is frozen, and which unit a process belongs to.

Law: a frozen process is held on purpose.  Frozen by an ancestor, or ordered to
freeze and not there yet, is frozen too.  What cannot be seen is None, not False.

Version 1 (its freezer hierarchy) and version 2 can both be mounted; a process
is frozen if either says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, List, Optional

from watchdog.errors import Unavailable
from watchdog.host.proc import PROC, Process

_UNIT_SUFFIXES = (".service", ".scope", ".socket", ".mount")


@dataclass(frozen=True)
class Hierarchies:
    """Where the hierarchies are mounted; None for one that is not."""

    unified: Optional[str] = None
    freezer: Optional[str] = None
    systemd: Optional[str] = None


def parse_hierarchies(mountinfo: str) -> Hierarchies:
    """Find the hierarchies in /proc/self/mountinfo.  Only whole ones count (root `/`)."""
    found: Dict[str, str] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, super_block = left.split(), right.split()
        if len(fields) < 5 or len(super_block) < 3 or fields[3] != "/":
            continue
        options = super_block[2].split(",")
        if super_block[0] == "cgroup2":
            found["unified"] = fields[4]
        elif super_block[0] == "cgroup" and "freezer" in options:
            found["freezer"] = fields[4]
        elif super_block[0] == "cgroup" and "name=systemd" in options:
            found["systemd"] = fields[4]
    return Hierarchies(**found)


def parse_membership(text: str) -> Dict[str, str]:
    """The group of a process in each hierarchy: {"": v2 path, "freezer": v1 path, "name=systemd": ...}."""
    groups: Dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def find_hierarchies(root: str = PROC) -> Hierarchies:
    """The hierarchies of this machine.  They stay; look once."""
    with open(f"{root}/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse_hierarchies(file.read())


def membership(process: Process) -> Dict[str, str]:
    """`parse_membership` of a process.  Raises ProcessGone or Unavailable."""
    return parse_membership(os.fsdecode(process.cgroup()))


def frozen(process: Process, hierarchies: Optional[Hierarchies] = None) -> Optional[bool]:
    """Whether a process is frozen, or None where that cannot be seen.

    Raises ProcessGone.
    """
    where = hierarchies or find_hierarchies()
    groups = membership(process)
    answers = [
        _frozen_unified(where.unified, groups.get("")),
        _frozen_freezer(where.freezer, groups.get("freezer")),
    ]
    if True in answers:
        return True
    return False if False in answers else None


def unit(groups: Dict[str, str]) -> Optional[str]:
    """The systemd unit that a process runs in, e.g. "docker.service"."""
    path = groups.get("name=systemd") or groups.get("") or ""
    units = [name for name in path.split("/") if name.endswith(_UNIT_SUFFIXES)]
    return units[-1] if units else None


def pids_of_service(service: str, hierarchies: Hierarchies) -> List[int]:
    """The processes of a system service, in ascending order; none where it has no group."""
    for top in (hierarchies.unified, hierarchies.systemd):
        text = _read(f"{top}/system.slice/{service}/cgroup.procs") if top else None
        if text:
            return sorted(int(pid) for pid in text.split())
    return []


def _frozen_unified(top: Optional[str], path: Optional[str]) -> Optional[bool]:
    """Version 2.  `frozen` in cgroup.events counts ancestors, but only once all members stand still."""
    if top is None or path is None or _outside(path):
        return None
    events = _read(f"{top}{path}/cgroup.events") or ""
    if "frozen 1" in events.splitlines():
        return True
    return any(_read(f"{top}{group}/cgroup.freeze") == "1\n" for group in _and_ancestors(path))


def _frozen_freezer(top: Optional[str], path: Optional[str]) -> Optional[bool]:
    """Version 1.  The state of a group counts its ancestors; the root group has none."""
    if top is None or path is None or _outside(path):
        return None
    state = _read(f"{top}{path}/freezer.state")
    return state is not None and state.strip() in ("FROZEN", "FREEZING")


def _and_ancestors(path: str) -> List[str]:
    """`/a/b` -> `/a/b`, `/a`; the root group cannot be frozen."""
    names = [name for name in path.split("/") if name]
    return ["/" + "/".join(names[:depth]) for depth in range(len(names), 0, -1)]


def _outside(path: str) -> bool:
    """A group above our own cgroup namespace: its files are not under the mount."""
    return path.startswith("/..")


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None  # the root group, an older kernel, or a group that is gone
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
