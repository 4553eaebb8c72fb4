"""The packaged unit under its confinement, on this release's systemd."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.vm.inside.machine import journal, main_pid, mount_namespace, prop, run, run_json, show, systemctl
from tests.vm.inside.node import AGENT, RUN_DIR, STATE_DIR, Node
from tests.vm.inside.telling import tell_more
from tests.vm.suite import Suite

METRICS = "127.0.0.1:9847"
ENGINES = ("libbpf", "bcc", "proc_connector", "polling")


def check_installing_starts_it(installed: None) -> None:
    """Installing starts it, ready by its own word, and only to observe."""
    assert prop(AGENT, "ActiveState") == "active", journal(AGENT)
    assert prop(AGENT, "NRestarts") == "0", journal(AGENT)
    assert prop(AGENT, "UnitFileState") == "enabled"
    assert '"mode": "observe"' in run("pull-watchdog", "status", "--json", check=False)


def check_unit(installed: None) -> None:
    """systemd hears when it is ready and that it lives, and has made its directories."""
    shown = show(
        AGENT, "Type", "NotifyAccess", "WatchdogUSec", "StatusText", "StateDirectory", "RuntimeDirectory"
    )
    tell_more(", ".join(f"{name}={value}" for name, value in shown.items()))
    assert (shown["Type"], shown["WatchdogUSec"]) == ("notify", "1min")
    assert shown["StatusText"] != ""
    assert STATE_DIR.stat().st_mode & 0o777 == 0o750
    assert RUN_DIR.is_dir()


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


def check_mount_namespace(node: Node) -> None:
    """It lives in the host's own mount namespace."""
    node.observe()
    assert mount_namespace(main_pid(AGENT)) == mount_namespace(1)


def check_confined(node: Node) -> None:
    """It can not do what it has no need of: no new privileges, a filter, eight capabilities."""
    node.observe()
    lines = Path(f"/proc/{main_pid(AGENT)}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert bin(int(status["CapBnd"], 16)).count("1") == 8


def check_exposure(installed: None) -> None:
    """Its exposure by systemd's own measure is at most 5.1."""
    said = run("systemd-analyze", "security", "--no-pager", AGENT).splitlines()[-1]
    level = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert level is not None and float(level[1]) <= 5.1, said
    tell_more(said.encode("ascii", "ignore").decode().strip())


def check_doctor(node: Node) -> None:
    """doctor finds nothing out of order on a plain node, and says which engine is in use and why."""
    node.observe()
    findings = {one["id"]: one for one in run_json("pull-watchdog", "doctor", "--json")}
    for name, one in findings.items():
        if one["level"] != "ok" or name in ("engine", "docker.log", "docker.process"):
            tell_more(f"{one['level']} {name}: {one['seen']} -> {one['advice']}")
    assert [one for one in findings.values() if one["level"] in ("fail", "unknown")] == []


def check_idle_agent(node: Node) -> None:
    """An agent that is idle for longer than that is left alone."""
    node.observe()
    before = main_pid(AGENT)
    time.sleep(75.0)
    assert main_pid(AGENT) == before
    assert prop(AGENT, "NRestarts") == "0"


@pytest.mark.parametrize("engine", ENGINES)
def check_each_engine(node: Node, suite: Suite, engine: str) -> None:
    """Under its confinement it starts with the engine."""
    if engine == "libbpf" and suite.engine != "libbpf":
        pytest.skip("libbpf is too old here; that auto passes it over is another check")
    node.begin("observe", engine=engine)
    assert node.state["engine"] == engine
    assert prop(AGENT, "NRestarts") == "0", journal(AGENT)


def check_hung_agent(node: Node) -> None:
    """An agent that does not tick is restarted by systemd."""
    node.begin("observe")
    before = main_pid(AGENT)
    os.kill(before, signal.SIGSTOP)
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


def check_other_watchdogs(installed: None) -> None:
    """The packages python3-watchdog and watchdog are there too, and each is what it was."""
    assert run("/usr/bin/python3", "-I", "-c", "import watchdog.observers") == ""
    assert run("pull-watchdog", "--version").startswith("pull-watchdog ")
    assert run("dpkg", "-S", "/usr/sbin/watchdog").startswith("watchdog:")
