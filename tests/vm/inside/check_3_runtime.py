"""The runtime is found as systemd runs it, and followed in the journal."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import uuid
from pathlib import Path
from typing import Iterator

from systemd import journal

from tests.vm.inside.machine import drop_in, prop, run, systemctl
from tests.vm.inside.node import AGENT, DOCKER, STATE_DIR, Node

RECORDS = "[Service]\nExecStart=\nExecStart=/usr/bin/pull-watchdog run --record {}\n"

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
    node.observe()
    assert node.seen_pid == node.dockerd
    assert node.runtime()["sight"] == "full", node.runtime()


def check_without_service(node: Node) -> None:
    """It is found as well where the configuration names no unit, though the socket's peer is systemd."""
    assert _peer("/run/docker.sock") == 1
    runtime = {"kind": "docker", "socket": "unix:///run/docker.sock", "restart": ["/bin/true"]}
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
    """docker's own lines are read from the journal; whoever echoes them is not believed."""
    lie, truth = uuid.uuid4().hex, uuid.uuid4().hex
    node.begin("observe")
    with _recording(node, "recording") as recording:
        _lie(lie, tmp_path)
        entries = run("journalctl", "-o", "json", "--no-pager", "-g", lie).splitlines()
        from_docker = [json.loads(one) for one in entries if f'"_SYSTEMD_UNIT":"{DOCKER}"' in one]
        # The container's lie looks like docker's own, and there is one of each liar.
        assert [one["_COMM"] for one in from_docker] == ["dockerd"] and len(entries) == 3, entries
        _fail_to_pull(truth)
        node.wait("docker's own line is seen", lambda: truth in _log_lines(recording))
        assert lie not in _log_lines(recording)


def check_cursor(node: Node) -> None:
    """The cursor in the journal is kept: what docker wrote while no agent ran is read, and nothing twice."""
    seen, missed = uuid.uuid4().hex, uuid.uuid4().hex
    node.begin("observe")
    with _recording(node, "first") as first:
        _fail_to_pull(seen)
        node.wait("docker's line is seen", lambda: seen in _log_lines(first))
    _fail_to_pull(missed)
    with _recording(node, "second") as second:
        node.wait("the line in between is seen", lambda: missed in _log_lines(second))
        assert seen not in _log_lines(second)


@contextlib.contextmanager
def _recording(node: Node, name: str) -> Iterator[Path]:
    """The unit's agent, restarted so that it records what it observes; stopped afterwards."""
    path = STATE_DIR / name
    with drop_in(AGENT, RECORDS.format(path)):
        systemctl("stop", AGENT)
        node.start()
        try:
            yield path
        finally:
            systemctl("stop", AGENT)


def _fail_to_pull(token: str) -> None:
    """Have dockerd write a line of its own that holds this word."""
    run("docker", "pull", f"{token}.invalid/image", check=False)


def _lie(token: str, work: Path) -> None:
    """Say what dockerd would: from a container, with fields that claim to be its, and as another unit."""
    words = WORDS.format(token=token)
    forged = {"_SYSTEMD_UNIT": DOCKER, "_TRANSPORT": "stdout", "_COMM": "dockerd"}
    options = [word for name, value in forged.items() for word in ("-e", f"{name}={value}")]
    driver = ("--log-driver=journald", "--log-opt", f"env={','.join(forged)}")
    run("docker", "run", "--rm", "--network=none", *driver, *options, _liar(work), "/liar", words)
    journal.send(words, **forged)
    run("systemd-run", "--quiet", "--wait", "--description=liar", "printf", "%s", words)


def _peer(path: str) -> int:
    """Who listens on a socket, by SO_PEERCRED."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", credentials)[0])


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
