"""A hung pull under systemd's own dockerd, and the packaged agent that frees it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import List, Set

from tests.lab import images, sight
from tests.lab.faults import Fault, Form
from tests.vm.inside.machine import main_pid, members, mounts, run, systemctl, wait_until
from tests.vm.inside.node import AGENT, CONTAINERD_PULLS, STATE_DIR, Node
from tests.vm.inside.telling import tell_more
from tests.vm.suite import Suite

NOTHING = {name: "off" for name in ("resume", "kill_decompressor", "substitute_decompressor")}


def check_real_unpigz_stopped(node: Node) -> None:
    """The system's own unpigz, stopped from outside in mid-layer, is continued and the pull completes."""
    node.begin("enforce")
    pull = node.pull(images.OTHER)
    culprit = wait_until("unpigz runs", lambda: next(iter(sight.decompressors(node.dockerd)), None))
    os.kill(culprit, signal.SIGSTOP)
    incident = node.incident("decompressor_stopped", "recovered")
    assert incident["culprit"]["pid"] == culprit
    assert [one["name"] for one in incident["actions"]] == ["resume"]
    assert pull.wait(120) == 0 and node.has(images.OTHER)


def check_observed(node: Node) -> None:
    """In observe the same is told, and left as it is."""
    node.begin("observe")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    node.pull(images.SMALL)
    culprit = node.hung()
    incident = node.incident("decompressor_stopped", "confirmed")
    assert incident["culprit"]["pid"] == culprit
    assert incident["actions"] == []
    assert sight.state(culprit) == "T"
    assert "resume" in incident["next"]


def check_spinning(node: Node) -> None:
    """A spinning unpigz is killed, and the image pulled again."""
    node.begin("enforce")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.SPIN, runs=1)
    node.pull(images.SMALL)
    incident = node.incident("decompressor_spinning", "recovered", "gone")
    names = [one["name"] for one in incident["actions"]]
    assert names[:1] == ["kill_decompressor"] and "repull" in names, incident["actions"]
    node.wait("the image is there", lambda: node.has(images.SMALL))


def check_docker_untar(node: Node, suite: Suite) -> None:
    """Its stages are told as they are here: docker-untar is a process up to docker 23, and none later."""
    node.begin("observe")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    node.pull(images.SMALL)
    node.hung()
    untars = sight.untars(node.dockerd)
    assert bool(untars) is (suite.name != "trixie")
    node.incident("decompressor_stopped", "confirmed")
    roles = {one["role"] for one in node.state["stages"]}
    assert roles == ({"decompressor"} if suite.name == "trixie" else {"decompressor", "untar"})


def check_substituted(node: Node) -> None:
    """unpigz is replaced by gzip with a link, and revert takes the link away."""
    incident = _blocked(node)
    tell_more(str(node.act("substitute_decompressor", incident, "--dry-run")))
    told = node.act("substitute_decompressor", incident)
    assert told["outcome"] == "done", told
    (link,) = _links()
    assert "gzip" in os.path.realpath(link)
    _freed(node, incident)
    run("pull-watchdog", "revert", "substitute_decompressor")
    assert not _links()


def check_mounted(node: Node) -> None:
    """Where no link will do, the confined remedy's bind mount reaches the host, and dpkg takes it away."""
    CONTAINERD_PULLS.mkdir(parents=True)
    try:
        incident = _blocked(node)
        tell_more(str(node.act("substitute_decompressor", incident, "--dry-run")))
        told = node.act("substitute_decompressor", incident)
        assert told["outcome"] == "done", told
        target = str(node.unpigz.path)
        assert target in mounts()
        _freed(node, incident)
        assert run("pigz", "--version").startswith("pigz")
        run("dpkg", "-i", *map(str, Path("/root").glob("pigz_*.deb")))
        assert target not in mounts()
    finally:
        CONTAINERD_PULLS.rmdir()


def check_restart_of_the_agent(node: Node) -> None:
    """A remedy that is under way outlives a stop of the agent, and the next one knows what was done."""
    node.begin("enforce")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.PAUSE, runs=1)
    node.pull(images.SMALL)
    node.wait("it was killed", lambda: _actions(node) & {"repull"})
    ledger = (STATE_DIR / "ledger.jsonl").read_text()
    systemctl("stop", AGENT)
    node.wait("the image is there", lambda: node.has(images.SMALL))
    node.wait("nothing of it is left", lambda: not members_of_agent())
    node.start()
    assert (STATE_DIR / "ledger.jsonl").read_text().startswith(ledger)
    assert "kill_decompressor" in _actions(node)


def check_killed_agent(node: Node) -> None:
    """An agent that was killed comes back, remembers the incident, and does not act twice."""
    node.begin("enforce", remedies=NOTHING)
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    node.pull(images.SMALL)
    node.hung()
    before = node.incident("decompressor_stopped", "confirmed", "gave_up")
    pid = main_pid(AGENT)
    os.kill(pid, signal.SIGKILL)
    node.wait("systemd restarts it", lambda: main_pid(AGENT) not in (0, pid))
    node.wait("it sees docker", lambda: node.seen_pid)
    after = node.incident("decompressor_stopped", "confirmed", "gave_up")
    assert after["id"] == before["id"] and after["opened_at"] == before["opened_at"]
    assert len(node.incidents()) == 1


def _blocked(node: Node) -> str:
    """A hang that the agent only tells of; the incident's id."""
    node.begin("observe")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.PAUSE)
    node.pull(images.SMALL)
    return str(node.incident("decompressor_blocked", "confirmed")["id"])


def _freed(node: Node, incident: str) -> None:
    """Killed, it is gone; pulled again, the image comes, though unpigz would hang at every pull."""
    told = node.act("kill_decompressor", incident)
    assert told["outcome"] == "done", told
    assert node.pull(images.SMALL).wait(300) == 0
    assert node.has(images.SMALL)


def members_of_agent() -> List[int]:
    try:
        return members(AGENT)
    except FileNotFoundError:
        return []


def _actions(node: Node) -> Set[str]:
    return {action["name"] for one in node.incidents() for action in one["actions"]}


def _links() -> List[str]:
    """Links named unpigz in the folders of docker's PATH, apart from the fake's own and pigz's own."""
    places = (Path(folder, "unpigz") for folder in ("/usr/local/sbin", "/usr/sbin"))
    return [str(place) for place in places if place.is_symlink()]
