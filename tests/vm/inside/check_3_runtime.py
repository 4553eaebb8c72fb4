"""The runtime is found as systemd runs it, and followed in the journal."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

from tests.vm.inside.machine import prop, run, systemctl, wait_until
from tests.vm.inside.node import DOCKER, Node

# Says what it was told to, as dockerd would.
LIAR = """\
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) { return argc != 2 || write(1, argv[1], strlen(argv[1])) < 0; }
"""
WORDS = 'time="2026-01-01T00:00:00Z" level=error msg="Not continuing with pull after error: {token}"\n'


def check_socket_activated(node: Node) -> None:
    """docker.socket is systemd's, and the runtime is found behind it all the same."""
    assert "fd://" in run("systemctl", "cat", DOCKER)
    assert prop("docker.socket", "ActiveState") == "active"
    node.begin("observe")
    assert node.runtime()["process"]["pid"] == node.dockerd
    assert node.runtime()["sight"] in ("full", "Sight.FULL"), node.runtime()


def check_without_service(node: Node) -> None:
    """It is found as well where the configuration names no unit."""
    socket = "unix:///run/docker.sock"
    runtime = {"kind": "docker", "socket": socket, "restart": ["/bin/true"]}
    node.begin("observe", runtimes=[runtime])
    assert node.runtime()["process"]["pid"] == node.dockerd


def check_restarted(node: Node) -> None:
    """A docker that was restarted is found under its new pid; one that is off is not started."""
    node.begin("observe")
    old = node.dockerd
    node.restart_docker()
    wait_until("the new pid", lambda: node.runtime()["process"]["pid"] == node.dockerd != old, 60.0)
    systemctl("stop", "docker.socket", DOCKER)
    wait_until("it is gone", lambda: node.runtime()["process"] is None, 60.0)
    assert prop(DOCKER, "ActiveState") == "inactive"
    systemctl("start", "docker.socket")
    wait_until("a socket alone is no runtime", lambda: "no runtime listens" in node.runtime()["detail"], 60.0)
    assert prop(DOCKER, "ActiveState") == "inactive"
    systemctl("start", DOCKER)
    wait_until("it is back", lambda: (node.runtime()["process"] or {}).get("pid") == node.dockerd, 60.0)


def check_journal(node: Node, tmp_path: Path) -> None:
    """docker's own lines are read from the journal; a container that echoes them is not believed."""
    recording = tmp_path / "recording"
    node.begin("observe")
    systemctl("stop", "pull-watchdog.service")
    agent = subprocess.Popen(["pull-watchdog", "run", "--record", str(recording)])
    try:
        wait_until("the agent sees docker", lambda: node.runtime().get("process"), 60.0)
        lie, truth = uuid.uuid4().hex, uuid.uuid4().hex
        words = WORDS.format(token=lie)
        driver = ("--network=none", "--log-driver=journald")
        run("docker", "run", "--rm", *driver, _liar(tmp_path), "/liar", words)
        entries = run("journalctl", "-u", DOCKER, "-o", "json", "--no-pager", "-g", lie)
        # The lie looks like docker's own.
        assert '"CONTAINER_ID"' in entries and '"_COMM":"dockerd"' in entries
        run("docker", "pull", f"localhost:1/{truth}", check=False)
        wait_until("docker's own line is seen", lambda: truth in recording.read_text(), 60.0)
        assert lie not in recording.read_text()
    finally:
        agent.terminate()
        agent.wait(30)


def _liar(work: Path) -> str:
    """An image that holds one static program."""
    root = work / "root"
    root.mkdir()
    source = work / "liar.c"
    source.write_text(LIAR)
    run("cc", "-static", "-o", str(root / "liar"), str(source))
    run("sh", "-c", f"tar -C {root} -c . | docker import - liar:1")
    return "liar:1"
