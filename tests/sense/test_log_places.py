"""Which logs are followed when nobody says so, and how those are found that the operator names."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdog.config_around import LogConfig
from watchdog.errors import Unavailable
from watchdog.sense.log_places import follower_of, usual_logs


def host(root: Path, *units: str, booted: bool = True) -> Path:
    (root / "usr/lib/systemd/system").mkdir(parents=True)
    for unit in units:
        (root / "usr/lib/systemd/system" / unit).write_text("[Service]\n")
    if booted:
        (root / "run/systemd/system").mkdir(parents=True)
    return root


def test_the_kubelets_and_containerds_are_followed_where_systemd_runs_them(tmp_path: Path) -> None:
    root = host(tmp_path, "kubelet.service", "containerd.service", "nginx.service")
    assert usual_logs(root) == (
        LogConfig("kubelet", journal="kubelet.service"),
        LogConfig("containerd", journal="containerd.service"),
    )


def test_dragonflys_are_followed_where_each_generation_writes(tmp_path: Path) -> None:
    root = host(tmp_path, "dfdaemon.service", "dfget-daemon.service")
    assert usual_logs(root) == (
        LogConfig("dfdaemon", journal="dfdaemon.service"),
        LogConfig("dfget-daemon", file="/var/log/dragonfly/daemon/core.log"),
    )


def test_units_on_a_host_that_systemd_did_not_boot_are_left_alone(tmp_path: Path) -> None:
    assert usual_logs(host(tmp_path, "kubelet.service", booted=False)) == ()


def test_a_unit_that_is_masked_is_left_alone(tmp_path: Path) -> None:
    root = host(tmp_path)
    (root / "usr/lib/systemd/system/kubelet.service").symlink_to("/dev/null")
    assert usual_logs(root) == ()


def test_a_file_is_read_from_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    path.write_text("old\n")
    log = LogConfig("nginx", file=str(path))
    first = follower_of(log, "", lambda: [])
    assert first.read() == []
    path.write_text("old\nnew\n")
    assert follower_of(log, first.cursor(), lambda: []).read() == ["new"]


def test_a_container_is_not_looked_for_before_a_runtime_is_known_to_run() -> None:
    follower = follower_of(LogConfig("dfdaemon", container="dfdaemon"), "", lambda: [])
    with pytest.raises(Unavailable, match="no runtime"):
        follower.read()
