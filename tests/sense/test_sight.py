"""sense/sight: runtimes that we cannot watch say so themselves, and others are not taken for them.

The answers are cut from what these runtimes say to /info and /version.
"""

from __future__ import annotations

from typing import Any, Dict

import pytest

from watchdog.core.observation import Sight
from watchdog.sense.sight import EXPLANATIONS, is_remote, sight_of

DOCKERD = "Docker/20.10.24 (linux)"
INFO: Dict[str, Any] = {
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"], ["userxattr", "false"]],
    "DockerRootDir": "/var/lib/docker",
    "SecurityOptions": ["name=seccomp,profile=default"],
}
VERSION: Dict[str, Any] = {
    "Components": [{"Name": "Engine", "Version": "20.10.24+dfsg1"}, {"Name": "containerd"}]
}
PODMAN: Dict[str, Any] = {"Components": [{"Name": "Podman Engine", "Version": "4.3.1"}, {"Name": "Conmon"}]}
CONTAINERD_STORE = {"Driver": "overlayfs", "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]]}
ROOTLESS = {"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]}


def sight(
    info: Any = INFO,
    version: Any = VERSION,
    server: str = DOCKERD,
    exe: str = "/usr/bin/dockerd",
    depth: int = 1,
) -> Sight:
    return sight_of(info, version, server, exe, depth)


def test_an_ordinary_dockerd_is_seen_in_full() -> None:
    assert sight() is Sight.FULL
    assert sight(version=None) is Sight.FULL
    assert Sight.FULL not in EXPLANATIONS


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (sight(info={**INFO, **CONTAINERD_STORE}), Sight.CONTAINERD_STORE),
        (sight(info={**INFO, **ROOTLESS}), Sight.ROOTLESS),
        (sight(server="Libpod/4.3.1 (linux)"), Sight.PODMAN),
        (sight(version=PODMAN, server=""), Sight.PODMAN),
        (sight(info=None, server="Libpod/4.3.1 (linux)"), Sight.PODMAN),
        (sight(exe="/snap/docker/2915/bin/dockerd"), Sight.SNAP),
        (sight(info={**INFO, "DockerRootDir": "/var/snap/docker/common/var-lib-docker"}), Sight.SNAP),
        (sight(depth=2), Sight.NESTED),
        (sight(info=None, version=None, server=""), Sight.UNKNOWN),
    ],
)
def test_what_cannot_be_watched_is_recognised_and_explained(found: Sight, kind: Sight) -> None:
    assert found is kind
    assert EXPLANATIONS[kind]


@pytest.mark.parametrize(
    "info",
    [
        {
            **INFO,
            "DriverStatus": [["driver-type", "something"], ["io.containerd.snapshotter.v1", "driver-type"]],
        },
        {**INFO, "SecurityOptions": ["name=seccomp,profile=/etc/name=rootless.json"]},
        {**INFO, "DockerRootDir": "/srv/snap/docker"},
        {**INFO, "DriverStatus": None, "SecurityOptions": None},
        {},
    ],
)
def test_look_alikes_are_not_taken_for_them(info: Dict[str, Any]) -> None:
    assert sight(info=info) is Sight.FULL


def test_podman_beside_docker_is_not_docker() -> None:
    assert sight(version={"Components": [{"Name": "Engine"}, None, {"Version": "podman"}]}) is Sight.FULL


def test_only_a_unix_socket_is_local() -> None:
    assert not is_remote("unix:///run/docker.sock")
    assert is_remote("tcp://127.0.0.1:2375") and is_remote("ssh://host")
