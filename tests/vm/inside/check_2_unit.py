"""The packaged unit under its confinement, on this release's systemd."""

from __future__ import annotations

import re
import time
from typing import Any, Iterator

import pytest

from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.vm.inside.machine import drop_in, journal, main_pid, prop, run, show, systemctl
from tests.vm.inside.node import AGENT, RUN_DIR, STATE_DIR, Node
from tests.vm.inside.telling import tell_more
from tests.vm.suite import Suite

METRICS = "127.0.0.1:9847"
NET_ADMIN = "[Service]\nCapabilityBoundingSet=CAP_NET_ADMIN\nAmbientCapabilities=CAP_NET_ADMIN\n"
ENGINES = ("libbpf", "bcc", "proc_connector", "polling")


def check_unit(installed: None) -> None:
    """systemd hears when it is ready and that it lives; in its directories root's files are safe."""
    shown = show(AGENT, "Type", "NotifyAccess", "WatchdogUSec", "StatusText")
    tell_more(", ".join(f"{name}={value}" for name, value in shown.items()))
    assert (shown["Type"], shown["WatchdogUSec"]) == ("notify", "1min")
    assert shown["StatusText"] != ""
    for folder in (STATE_DIR, RUN_DIR):
        assert (folder.owner(), folder.group()) == ("root", "pull-watchdog")
        assert folder.stat().st_mode & 0o7777 == 0o1775


def check_ports(node: Node) -> None:
    """It listens where Prometheus scrapes, on loopback; no package that came with it listens at all."""
    node.observe()
    listening = [line.split() for line in run("ss", "-Hltnp").splitlines()]
    holders = {words[3]: words[-1] for words in listening}
    tell_more(str(holders))
    others = re.compile("docker-regist|containerd")  # what pulls need
    ours = {address for address, holder in holders.items() if not others.search(holder)}
    assert ours == {METRICS}
    assert f"pid={main_pid(AGENT)}," in holders[METRICS]


def check_best_engine(node: Node, suite: Suite) -> None:
    """The best engine of this release is found, and no sensor is down."""
    node.observe()
    state = node.state
    tell_more(f"{state['engine']}: {state['engine_attempts']}")
    assert state["engine"] == suite.engine, state["engine_attempts"]
    assert [one for one in state["sensors"] if not one["up"]] == [], journal(AGENT)


def check_idle_agent(node: Node) -> None:
    """An agent that is idle for longer than that is left alone."""
    node.observe()
    before = main_pid(AGENT)
    time.sleep(75.0)
    assert main_pid(AGENT) == before
    assert prop(AGENT, "NRestarts") == "0"


@pytest.fixture
def net_admin() -> Iterator[None]:
    """The drop-in of which the unit speaks."""
    with drop_in(AGENT, NET_ADMIN):
        yield


@pytest.mark.parametrize("engine", ENGINES)
def check_each_engine(node: Node, suite: Suite, request: Any, engine: str) -> None:
    """In its unit, a hung pull is seen and freed with the engine."""
    if engine == "libbpf" and suite.engine != "libbpf":
        pytest.skip("libbpf is too old here; that auto passes it over is another check")
    if engine == "proc_connector":
        request.getfixturevalue("net_admin")
    node.begin("enforce", engine=engine)
    assert node.state["engine"] == engine
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    pull = node.pull(images.SMALL)
    incident = node.incident("decompressor_stopped", "recovered")
    assert [one["name"] for one in incident["actions"]] == ["resume"]
    assert pull.wait(300) == 0
    assert prop(AGENT, "NRestarts") == "0", journal(AGENT)


def check_hung_agent(node: Node) -> None:
    """`systemctl kill -s STOP`: an agent that does not tick is restarted by systemd."""
    node.begin("observe")
    before = main_pid(AGENT)
    systemctl("kill", "-s", "STOP", AGENT)
    node.wait("systemd restarts it", lambda: main_pid(AGENT) not in (0, before))
    node.wait("it sees docker again", lambda: node.seen_pid)
    assert prop(AGENT, "NRestarts") == "1"


def check_wrong_configuration(node: Node) -> None:
    """A wrong configuration is said in one line, and not tried again and again."""
    node.begin("observe")
    node.configure("obzerve")
    run("systemctl", "restart", AGENT, check=False)
    node.wait("the unit has failed", lambda: prop(AGENT, "ActiveState") == "failed")
    assert prop(AGENT, "NRestarts") == "0"
    assert prop(AGENT, "ExecMainStatus") == "2"
    assert "config.yaml:1" in journal(AGENT)
    systemctl("reset-failed", AGENT)
