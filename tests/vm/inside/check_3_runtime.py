"""The runtime is found as systemd runs it, and followed in the journal."""

from __future__ import annotations

import json
import subprocess
import uuid
from pathlib import Path

from tests.vm.inside.machine import prop, run, systemctl
from tests.vm.inside.node import AGENT, DOCKER, Node

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
    assert node.seen_pid == node.dockerd
    assert node.runtime()["sight"] == "full", node.runtime()


def check_without_service(node: Node) -> None:
    """It is found as well where the configuration names no unit."""
    socket = "unix:///run/docker.sock"
    runtime = {"kind": "docker", "socket": socket, "restart": ["/bin/true"]}
    node.begin("observe", runtimes=[runtime])
    assert node.seen_pid == node.dockerd


def check_restarted(node: Node) -> None:
    """A docker that was restarted is found under its new pid; one that is off is not started."""
    node.begin("observe")
    old = node.dockerd
    node.restart_docker()
    assert node.dockerd != old
    node.wait("the new pid", lambda: node.seen_pid == node.dockerd)
    systemctl("stop", "docker.socket", DOCKER)
    node.wait("it is gone", lambda: node.seen_pid is None)
    assert prop(DOCKER, "ActiveState") == "inactive"
    systemctl("start", "docker.socket")
    node.wait("a socket alone is no runtime", lambda: "no runtime listens" in node.runtime()["detail"])
    assert prop(DOCKER, "ActiveState") == "inactive"
    systemctl("start", DOCKER)
    node.wait("it is back", lambda: node.seen_pid == node.dockerd)


def check_journal(node: Node, tmp_path: Path) -> None:
    """docker's own lines are read from the journal; a container that echoes them is not believed."""
    recording, lie, truth = tmp_path / "recording", uuid.uuid4().hex, uuid.uuid4().hex
    node.begin("observe")
    systemctl("stop", AGENT)
    agent = subprocess.Popen(["pull-watchdog", "run", "--record", str(recording)])
    try:
        node.wait("the agent sees docker", lambda: node.seen_pid)
        driver = ("--network=none", "--log-driver=journald")
        run("docker", "run", "--rm", *driver, _liar(tmp_path), "/liar", WORDS.format(token=lie))
        entries = run("journalctl", "-u", DOCKER, "-o", "json", "--no-pager", "-g", lie)
        # The lie looks like docker's own.
        assert '"CONTAINER_ID"' in entries and '"_COMM":"dockerd"' in entries
        run("docker", "pull", f"{truth}.invalid/image", check=False)
        node.wait("docker's own line is seen", lambda: truth in _log_lines(recording))
        assert lie not in _log_lines(recording)
    finally:
        agent.terminate()
        agent.wait(60)


def _log_lines(recording: Path) -> str:
    """All lines of a log in a recording, without the argv of clients, which name the same things."""
    frames = recording.read_text().rpartition("\n")[0].splitlines()
    seen = (one for frame in frames for one in json.loads(frame)["observations"])
    return "\n".join(one["text"] for one in seen if one["type"] == "LogLine")


def _liar(work: Path) -> str:
    """An image that holds one static program."""
    root = work / "root"
    root.mkdir()
    source = work / "liar.c"
    source.write_text(LIAR)
    run("cc", "-static", "-o", str(root / "liar"), str(source))
    run("sh", "-c", f"tar -C {root} -c . | docker import - liar:1")
    return "liar:1"
