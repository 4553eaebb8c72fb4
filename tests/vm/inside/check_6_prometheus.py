"""A real Prometheus on the node, with the example and the alerts as they are installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.vm.inside.machine import run
from tests.vm.inside.node import Node
from tests.vm.inside.telling import tell_more

INSTALLED = Path("/usr/share/pull-watchdog/prometheus")
ADDRESS = "127.0.0.1:9090"
METRICS = "http://127.0.0.1:9847/metrics"
# The alert waits for 2 minutes, and its data come every 15 s.
FIRES_WITHIN_S = 200.0


class Prometheus:
    """The distribution's own; what it says of itself."""

    def ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://{ADDRESS}/api/v1/{what}", timeout=60) as answer:
            return json.load(answer)["data"]

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("targets")["activeTargets"])
        except OSError:
            return False

    def targets(self) -> List[Dict[str, Any]]:
        told: List[Dict[str, Any]] = self.ask("targets")["activeTargets"]
        return told

    def alerts(self, state: str) -> Dict[str, Dict[str, Any]]:
        """Those that are `firing` or `pending`, by name."""
        told = self.ask("alerts")["alerts"]
        return {one["labels"]["alertname"]: one for one in told if one["state"] == state}

    def rules(self) -> List[Dict[str, Any]]:
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


@pytest.fixture
def prometheus(node: Node, tmp_path: Path) -> Iterator[Prometheus]:
    """Started by hand, with what is installed and nothing else."""
    for name in ("alerts.yml", "scrape.yml"):
        shutil.copy(INSTALLED / name, tmp_path)
    command = [
        *("prometheus", f"--config.file={tmp_path / 'scrape.yml'}", f"--web.listen-address={ADDRESS}"),
        *(f"--storage.tsdb.path={tmp_path / 'data'}", "--log.level=warn"),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        asked = Prometheus()
        node.wait("prometheus is ready", asked.is_ready)
        yield asked
    finally:
        process.terminate()
        process.wait(120)


def check_scraped_and_alerted(node: Node, prometheus: Prometheus) -> None:
    """Prometheus scrapes it; a stopped unpigz makes the alert fire, and freed by hand the alert is over."""
    node.begin("observe")
    node.wait("it is scraped", lambda: [one["health"] for one in prometheus.targets()] == ["up"])
    node.unpigz.install(Form.BINARY)
    node.unpigz.arm(Fault.STOP)
    pull = node.pull(images.SMALL)
    incident = node.incident("decompressor_stopped", "confirmed")
    node.wait(
        "the alert fires", lambda: "PullWatchdogPullHangs" in prometheus.alerts("firing"), FIRES_WITHIN_S
    )
    alert = prometheus.alerts("firing")["PullWatchdogPullHangs"]
    tell_more(f"{alert['annotations']['summary']}; {alert['annotations']['runbook']}")
    assert alert["labels"]["cause"] == "decompressor_stopped"
    assert node.act("resume", incident["id"])["outcome"] == "done"
    node.wait("the alert is over", lambda: not prometheus.alerts("firing"))
    assert pull.wait(300) == 0


def check_well_formed(node: Node, prometheus: Prometheus, tmp_path: Path) -> None:
    """promtool finds what it serves well-formed, each rule is evaluated, and a healthy node alerts nobody."""
    node.observe()
    served = tmp_path / "served"
    with urllib.request.urlopen(METRICS, timeout=60) as answer:
        served.write_bytes(answer.read())
    run("sh", "-c", f"promtool check metrics <{served}")
    node.wait("every rule was evaluated", lambda: {one["health"] for one in prometheus.rules()} == {"ok"})
    assert prometheus.alerts("firing") == {}
    tell_more(f"pending: {sorted(prometheus.alerts('pending'))}")
