"""A fresh system and its first installation.  First, because that is only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.inside import package
from tests.vm.inside.footprint import Listing, changed, listing, unexplained
from tests.vm.inside.machine import journal, main_pid, prop, run, run_json, wait_until
from tests.vm.inside.node import AGENT, Node
from tests.vm.inside.telling import tell_more


@pytest.fixture(scope="session")
def before() -> Listing:
    """What was there before the package."""
    return listing()


def check_installing_leaves_nothing_else(before: Listing, installed: None) -> None:
    """apt installs it without a network, and no file is there that it does not own or keep its state in."""
    wait_until("it runs", lambda: prop(AGENT, "ActiveState") == "active")
    new = changed(before, listing())
    own = new & package.owned()
    tell_more(f"{len(new)} paths are new or changed, {len(own)} of them the package's")
    assert len(own) > 100
    assert sorted(unexplained(new - own)) == []


def check_installing_starts_it(installed: None) -> None:
    """Installing starts it, ready by its own word, and only to observe."""
    assert prop(AGENT, "ActiveState") == "active", journal(AGENT)
    assert prop(AGENT, "NRestarts") == "0", journal(AGENT)
    assert prop(AGENT, "UnitFileState") == "enabled"
    assert '"mode": "observe"' in run("pull-watchdog", "status", "--json", check=False)


def check_doctor(node: Node) -> None:
    """doctor finds nothing out of order on a plain node, and says what mends what could be better."""
    node.observe()
    findings = {one["id"]: one for one in run_json("pull-watchdog", "doctor", "--json")}
    for name, one in findings.items():
        if one["level"] != "ok" or name in ("engine", "docker.log", "docker.process"):
            tell_more(f"{one['level']} {name}: {one['seen']} -> {one['advice']}")
    assert [one for one in findings.values() if one["level"] in ("fail", "unknown")] == []
    assert [one for one in findings.values() if one["level"] != "ok" and not one["advice"]] == []


def check_installing_again(installed: None) -> None:
    """Installing the same again does nothing: the same process, not one file changed."""
    pid, there = main_pid(AGENT), listing()
    assert "0 upgraded, 0 newly installed" in package.install(package.built())
    assert main_pid(AGENT) == pid != 0
    assert sorted(unexplained(changed(there, listing()))) == []


def check_other_watchdogs(installed: None) -> None:
    """The packages python3-watchdog and watchdog are there too, and each is what it was."""
    assert run("/usr/bin/python3", "-I", "-c", "import watchdog.observers") == ""
    assert run("pull-watchdog", "--version").startswith("pull-watchdog ")
    assert run("dpkg", "-S", "/usr/sbin/watchdog").startswith("watchdog:")


def check_configuration_is_kept(installed: None) -> None:
    """The configuration is the operator's: dpkg knows it as such."""
    conffiles = run("dpkg-query", "-W", "-f", "${Conffiles}", package.NAME)
    assert "/etc/pull-watchdog/config.yaml" in conffiles
    assert Path("/etc/pull-watchdog/conf.d").is_dir()
