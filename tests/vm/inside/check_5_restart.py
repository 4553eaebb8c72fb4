"""restart_runtime and disable_pigz on a real unit: refused for each reason, and done when there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.vm.inside.machine import environment, prop, run, systemctl
from tests.vm.inside.node import DOCKER, Node
from tests.vm.inside.telling import tell_more

ENV_FILE = Path("/run/pull-watchdog-env/docker.env")
DEPENDENT = Path("/run/systemd/system/dependent.service")
DAEMON_JSON = Path("/etc/docker/daemon.json")
PAUSE = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


@pytest.fixture
def hung(node: Node) -> Iterator[Dict[str, Any]]:
    """An incident that nobody acts upon, in a docker that may be started again."""
    node.begin("observe")
    node.restart_docker()
    node.limit_starts("1s")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.PAUSE)
    node.pull(images.SMALL)
    node.hung()
    yield node.incident("decompressor_blocked", "confirmed")


@pytest.fixture
def live_restore(node: Node) -> Iterator[None]:
    """A docker whose containers outlive it."""
    DAEMON_JSON.write_text('{"live-restore": true}\n')
    node.restart_docker()
    yield
    DAEMON_JSON.unlink()
    node.restart_docker()


def check_refusals(node: Node, hung: Dict[str, Any], tmp_path: Path) -> None:
    """restart_runtime is refused with every reason: a container, a unit that requires docker."""
    old = node.dockerd
    container = _running_container(tmp_path)
    DEPENDENT.write_text(
        "[Unit]\nRequires=docker.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
    )
    try:
        systemctl("daemon-reload")
        systemctl("start", "dependent.service")
        told = node.act("restart_runtime", hung["id"])
        assert told["outcome"] == "refused"
        assert "live-restore is off" in told["detail"], told
        assert "dependent.service" in told["detail"], told
        assert node.act("disable_pigz", hung["id"])["outcome"] == "refused"
        assert not ENV_FILE.exists() or ENV_FILE.read_text() == ""
        assert node.dockerd == old
    finally:
        systemctl("stop", "dependent.service")
        DEPENDENT.unlink()
        systemctl("daemon-reload")
        run("docker", "rm", "-f", container)


def check_live_restore(node: Node, live_restore: None, tmp_path: Path) -> None:
    """With live-restore the agent restarts docker by itself, and a container goes on meanwhile."""
    node.limit_starts("1s")
    container = _running_container(tmp_path)
    try:
        old, before = node.dockerd, _lives([container])
        node.begin("enforce", remedies={"kill_decompressor": "off", "restart_runtime": "on"})
        node.unpigz.install(Form.BINARY)
        node.unpigz.arm(Fault.PAUSE, runs=1)
        node.pull(images.SMALL)
        node.wait("docker is restarted", lambda: node.dockerd not in (0, old))
        incident = node.incident("decompressor_blocked", "recovered", "gone")
        tell_more(f"{incident['actions'][0]['detail']}; then {incident['state']}: {incident['next']}")
        assert [(one["name"], one["outcome"]) for one in incident["actions"][:1]] == [
            ("restart_runtime", "done")
        ]
        assert _lives([container]) == before and before.strip().endswith("true")
        assert node.pull(images.SMALL).wait(300) == 0
    finally:
        run("docker", "rm", "-f", container)


LAST_RESORT = {
    "remedies": {"substitute_decompressor": "off", "disable_pigz": "on", "restart_runtime": "on"},
    # One kill and what it pulls again; then it has come back.
    "budgets": {"kill_decompressor": {"count": 1}},
}


def _two_containers(node: Node, work: Path) -> List[str]:
    """That run on, in a docker that may be started again."""
    node.limit_starts("1s")
    return [_running_container(work / name) for name in ("one", "two")]


def _hang_every_time(node: Node) -> None:
    """An agent for which nothing is left but the last resort, and a pull whose fault comes back."""
    node.begin("enforce", **LAST_RESORT)
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.PAUSE)
    node.pull(images.SMALL)


def check_last_resort(node: Node, live_restore: None, tmp_path: Path) -> None:
    """What comes back ends, without a substitution, in a docker without pigz, and its containers run on."""
    containers = _two_containers(node, tmp_path)
    try:
        old, before = node.dockerd, _lives(containers)
        _hang_every_time(node)
        node.wait("docker is restarted", lambda: node.dockerd not in (0, old), 180.0)
        node.wait("it has done so", lambda: ("disable_pigz", "done") in _acts(node))
        tell_more("; ".join(f"{name} {outcome}" for name, outcome in _acts(node)))
        assert environment(node.dockerd)["MOBY_DISABLE_PIGZ"] == "true"
        assert _lives(containers) == before and before.count("true") == 2
        assert node.pull(images.SMALL).wait(300) == 0  # unpigz would hang again
        node.wait("nothing is open", lambda: not _open(node))
        assert _lives(containers) == before
    finally:
        run("docker", "rm", "-f", *containers)
        run("pull-watchdog", "revert", "--all", check=False)


def check_last_resort_refused(node: Node, tmp_path: Path) -> None:
    """The same with live-restore off: refused with that reason, docker and its containers untouched."""
    node.restart_docker()
    containers = _two_containers(node, tmp_path)
    try:
        old, before = node.dockerd, _lives(containers)
        _hang_every_time(node)
        incident = node.incident("decompressor_blocked", "gave_up")
        tell_more(incident["next"])
        refused = [one for one in incident["actions"] if one["outcome"] == "refused"]
        assert {one["name"] for one in refused} == {"disable_pigz", "restart_runtime"}
        assert all("live-restore is off" in one["detail"] for one in refused), refused
        assert node.dockerd == old and _lives(containers) == before
        assert not ENV_FILE.exists() or ENV_FILE.read_text() == ""
    finally:
        run("docker", "rm", "-f", *containers)


def check_restarted(node: Node, hung: Dict[str, Any]) -> None:
    """With no reason against it docker is restarted, and the next restart is refused: the start limit."""
    old = node.dockerd
    told = _act(node, "restart_runtime", hung["id"])
    assert told["outcome"] == "done", told
    assert node.dockerd not in (0, old)
    assert prop(DOCKER, "NRestarts") == "0"
    node.wait("the agent sees it", lambda: node.seen_pid == node.dockerd)
    pull = node.pull(images.OTHER)
    node.hung()
    node.limit_starts("1h")
    again = node.incident("decompressor_blocked", "confirmed")
    refused = node.act("restart_runtime", again["id"])
    assert refused["outcome"] == "refused" and "start limit" in refused["detail"], refused
    pull.kill()


def check_pigz_disabled(node: Node, hung: Dict[str, Any]) -> None:
    """disable_pigz gives docker one line of environment; an agent's restart keeps it, revert takes it."""
    told = _act(node, "disable_pigz", hung["id"])
    assert told["outcome"] == "done", told
    assert environment(node.dockerd)["MOBY_DISABLE_PIGZ"] == "true"
    assert ENV_FILE.stat().st_mode & 0o777 == 0o600
    assert node.pull(images.SMALL).wait(180) == 0  # unpigz would hang again
    systemctl("restart", "pull-watchdog.service")
    assert ENV_FILE.exists()
    run("pull-watchdog", "revert", "disable_pigz")
    assert not ENV_FILE.exists() or ENV_FILE.read_text() == ""
    assert "MOBY_DISABLE_PIGZ" in environment(node.dockerd)  # until somebody restarts it
    node.restart_docker()
    assert "MOBY_DISABLE_PIGZ" not in environment(node.dockerd)


def check_pigz_enabled_in_time(node: Node, hung: Dict[str, Any]) -> None:
    """When its time is over the agent takes the line away by itself."""
    node.configure("enforce", expiries={"disable_pigz": "20s"}, remedies={"kill_decompressor": "off"})
    told = _act(node, "disable_pigz", hung["id"])
    assert told["outcome"] == "done", told
    systemctl("restart", "pull-watchdog.service")
    node.wait("the line is taken away", lambda: not ENV_FILE.exists() or not ENV_FILE.read_text())
    node.restart_docker()  # which still runs without pigz


def check_drop_in() -> None:
    """docker.service lists the file from the start, and runs without it."""
    listed = run("systemctl", "show", "-p", "EnvironmentFiles", DOCKER)
    assert f"{ENV_FILE} (ignore_errors=yes)" in listed
    assert ENV_FILE.parent.stat().st_mode & 0o777 == 0o700
    assert prop(DOCKER, "ActiveState") == "active"


def _act(node: Node, remedy: str, incident: str) -> Dict[str, Any]:
    """As node.act, once docker-untar has written what it got before the hang: that is still movement."""

    def told() -> Optional[Dict[str, Any]]:
        said = node.act(remedy, incident)
        return None if "under way that moves" in said["detail"] else said

    return node.wait("nothing moves any more", told)


def _lives(containers: List[str]) -> str:
    """Which processes the containers are, and since when."""
    life = "{{.Id}} {{.State.Pid}} {{.State.StartedAt}} {{.State.Running}}"
    return run("docker", "inspect", "-f", life, *containers)


def _acts(node: Node) -> List[Tuple[str, str]]:
    """All actions so far, each with its outcome."""
    return [(act["name"], act["outcome"]) for one in node.incidents() for act in one["actions"]]


def _open(node: Node) -> List[str]:
    return [one["id"] for one in node.incidents() if one["state"] in ("confirmed", "acting", "verifying")]


def _running_container(work: Path) -> str:
    """A container that does nothing, without a network."""
    root = work / "root"
    root.mkdir(parents=True)
    source = work / "pause.c"
    source.write_text(PAUSE)
    run("cc", "-static", "-o", str(root / "pause"), str(source))
    run("sh", "-c", f"tar -C {root} -c . | docker import - pause:1")
    return run("docker", "run", "-d", "--network=none", "pause:1", "/pause").strip()
