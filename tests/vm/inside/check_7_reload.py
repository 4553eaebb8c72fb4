"""`systemctl reload`: a good configuration comes into force as a whole, a wrong one not at all."""

from __future__ import annotations

from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.vm.inside.machine import ends_with, journal, main_pid, prop, systemctl
from tests.vm.inside.node import AGENT, Node
from tests.vm.inside.telling import tell_more


def check_reload(node: Node) -> None:
    """With a good configuration the same process does otherwise: told in observe, freed after the reload."""
    node.begin("observe")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    pull = node.pull(images.SMALL)
    before = node.incident("decompressor_stopped", "confirmed")
    pid = main_pid(AGENT)
    node.configure("enforce")
    systemctl("reload", AGENT)
    node.wait("it is in enforce", lambda: node.state.get("mode") == "enforce")
    after = node.incident("decompressor_stopped", "recovered")
    assert main_pid(AGENT) == pid
    assert after["id"] == before["id"]
    assert pull.wait(300) == 0


def check_wrong_reload(node: Node) -> None:
    """With a wrong one the reload fails, names file and line, and what was in force stays so."""
    node.begin("enforce")
    pid = main_pid(AGENT)
    node.configure("obzerve")
    status, said = ends_with("systemctl", "reload", AGENT)
    tell_more(f"status {status}: {said.splitlines()[0]}")
    assert status != 0
    assert "config.yaml:1" in journal(AGENT), journal(AGENT)
    assert prop(AGENT, "ActiveState") == "active"
    node.configure("observe")  # what is there now, and what it must not have read
    assert node.state["mode"] == "enforce" and not node.state["stale"]
    systemctl("reload", AGENT)
    node.wait("it can be mended", lambda: node.state.get("mode") == "observe")
    assert main_pid(AGENT) == pid
