"""host/cgroup: a frozen process is known as such, one beside it is not."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.host.conftest import Spawn, wait_until
from watchdog.host import cgroup
from watchdog.host.proc import Process

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
99 98 0:34 /docker/4711 /var/lib/x/rootfs/sys/fs/cgroup/freezer ro - cgroup cgroup rw,freezer
"""
UNIFIED = (
    "30 23 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
)


def test_hierarchies_are_found_and_parts_of_one_are_not_taken_for_it() -> None:
    assert cgroup.parse_hierarchies(HYBRID) == cgroup.Hierarchies(
        "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer", "/sys/fs/cgroup/systemd"
    )
    assert cgroup.parse_hierarchies(UNIFIED) == cgroup.Hierarchies("/sys/fs/cgroup", None, None)
    assert cgroup.parse_hierarchies("") == cgroup.Hierarchies()


def test_units_are_named() -> None:
    v1 = cgroup.parse_membership(
        "12:cpu,cpuacct:/system.slice\n9:freezer:/a:b\n1:name=systemd:/system.slice/docker.service\n"
    )
    assert v1["freezer"] == "/a:b"
    assert cgroup.unit(v1) == "docker.service"
    assert (
        cgroup.unit(cgroup.parse_membership("0::/user.slice/user-0.slice/session-3.scope\n"))
        == "session-3.scope"
    )
    assert cgroup.unit(cgroup.parse_membership("0::/\n")) is None


@pytest.fixture
def groups() -> Iterator[List[Path]]:
    """Two nested groups in each hierarchy that can freeze: (outer, inner) for v2, then for v1."""
    where = cgroup.find_hierarchies()
    if os.geteuid() != 0 or not (where.unified or where.freezer):
        pytest.skip("needs root and a cgroup hierarchy that can freeze")
    name = f"pull-watchdog-test-{uuid.uuid4().hex[:8]}"
    inner = [Path(top) / name / "inner" for top in (where.unified, where.freezer) if top]
    for folder in inner:
        folder.mkdir(parents=True)
    yield inner
    for folder in inner:
        for one in (folder, folder.parent):
            set_frozen(one, False)
            for pid in (one / "cgroup.procs").read_text().split():
                (
                    one.parent.parent / "cgroup.procs" if one == folder else one.parent / "cgroup.procs"
                ).write_text(pid)
            one.rmdir()


def set_frozen(folder: Path, value: bool) -> None:
    if (folder / "freezer.state").exists():
        (folder / "freezer.state").write_text("FROZEN" if value else "THAWED")
    else:
        (folder / "cgroup.freeze").write_text("1" if value else "0")


def test_a_frozen_process_is_seen_in_every_hierarchy_and_depth(spawn: Spawn, groups: List[Path]) -> None:
    with Process(spawn("sleep", "60").pid) as process, Process(spawn("sleep", "60").pid) as beside:
        for inner in groups:
            for one in (process, beside):
                (inner.parent / "cgroup.procs").write_text(str(one.pid))
            (inner / "cgroup.procs").write_text(str(process.pid))
            assert cgroup.frozen(process) is False
            set_frozen(inner, True)
            wait_until(lambda: cgroup.frozen(process))
            assert cgroup.frozen(beside) is False
            set_frozen(inner, False)
            wait_until(lambda: not cgroup.frozen(process))
            set_frozen(inner.parent, True)
            wait_until(lambda: cgroup.frozen(process) and cgroup.frozen(beside))
            set_frozen(inner.parent, False)
            wait_until(lambda: not cgroup.frozen(process))


def test_a_machine_without_hierarchies_is_unknown() -> None:
    with Process(os.getpid()) as process:
        assert cgroup.frozen(process, cgroup.Hierarchies()) is None


def test_our_own_process_is_not_frozen() -> None:
    with Process(os.getpid()) as process:
        assert cgroup.frozen(process) is False


def test_a_service_that_is_not_there_has_no_processes() -> None:
    assert cgroup.pids_of_service("no-such-thing.service", cgroup.find_hierarchies()) == []
