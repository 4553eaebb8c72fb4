"""A package of a higher version comes while something hangs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.vm.inside import package
from tests.vm.inside.machine import main_pid, prop, wait_until
from tests.vm.inside.node import AGENT, STATE_DIR, Node
from tests.vm.inside.telling import tell_more


def check_upgrade_in_mid_incident(node: Node, tmp_path: Path) -> None:
    """Upgraded while unpigz hangs, it knows the incident again, frees it once, and says that it has."""
    newer = package.newer(tmp_path)
    node.begin("observe")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    pull = node.pull(images.SMALL)
    before = node.incident("decompressor_stopped", "confirmed")
    old_version, old_pid = package.version(), main_pid(AGENT)
    node.configure("enforce")  # for the next process; this one has not read it
    try:
        package.install(newer)
        tell_more(f"{old_version} -> {package.version()}")
        assert package.version() != old_version
        assert main_pid(AGENT) not in (0, old_pid)
        after = node.incident("decompressor_stopped", "recovered")
        assert (after["id"], after["opened_at"]) == (before["id"], before["opened_at"])
        assert [one["name"] for one in after["actions"]] == ["resume"]
        assert pull.wait(300) == 0 and node.has(images.SMALL)
    finally:
        package.install_again()


def check_upgrade_in_mid_action(node: Node, tmp_path: Path) -> None:
    """Upgraded right after it has killed, the image still comes, and nothing is done twice."""
    newer = package.newer(tmp_path)
    node.begin("enforce")
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.PAUSE, runs=1)
    node.pull(images.OTHER)
    try:
        wait_until("it means to kill", lambda: "kill_decompressor" in _intents(), every_s=0.2)
        package.install(newer)
        node.wait("the image is there", lambda: node.has(images.OTHER))
        incident = node.incident("decompressor_blocked", "recovered", "gone")
        tell_more(f"{_intents()}; {incident['state']}")
        assert _intents().count("kill_decompressor") == 1
        assert prop(AGENT, "NRestarts") == "0"
    finally:
        package.install_again()


def _intents() -> List[str]:
    """The remedies that were meant to be used, as the ledger has them."""
    try:
        lines = (STATE_DIR / "ledger.jsonl").read_text().rpartition("\n")[0].splitlines()
    except FileNotFoundError:
        return []
    entries = [json.loads(line) for line in lines]
    return [one["remedy"] for one in entries if one.get("phase") == "intent"]
