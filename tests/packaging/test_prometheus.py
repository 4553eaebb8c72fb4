"""The alerts and the dashboard: right by promtool, about metrics that exist, each alert needed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, Set

import pytest
import yaml

from tests.packaging.conftest import PACKAGING, needs, run
from watchdog.config import Config
from watchdog.core.causes.finding import FOR_PEOPLE
from watchdog.core.observation import SensorState
from watchdog.core.policy import Policy
from watchdog.core.tick import Tick
from watchdog.report.metrics import Metrics
from watchdog.report.vitals import Vitals

RULES = PACKAGING / "prometheus/alerts.yml"
CASES = PACKAGING / "prometheus/alerts_test.yml"
SCRAPE = PACKAGING / "prometheus/scrape.yml"
PAGE = PACKAGING / "man/pull-watchdog.8"
DASHBOARD = PACKAGING / "grafana/dashboard.json"
METRIC = re.compile(r"\bpull_watchdog_[a-z_]+\b")


def _rules() -> Dict[str, Any]:
    content: Dict[str, Any] = yaml.safe_load(RULES.read_text())
    return content


NO_RULES = [{"record": "nothing", "expr": "vector(0)"}]
ALERTS = [rule["alert"] for group in _rules()["groups"] for rule in group["rules"] if "alert" in rule]


def test_promtool_accepts_rules_and_cases() -> None:
    needs("promtool")
    assert "SUCCESS" in run("promtool", "check", "rules", str(RULES))
    run("promtool", "test", "rules", str(CASES))


def test_cases_notice_every_missing_alert(tmp_path: Path) -> None:
    rules = _rules()
    for group in rules["groups"]:
        group["rules"] = [rule for rule in group["rules"] if "record" in rule] or NO_RULES
    assert _noticed(rules, tmp_path) == set(ALERTS)


def test_cases_notice_every_alert_that_always_fires(tmp_path: Path) -> None:
    rules = _rules()
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
        # The same series, whatever their value.
        rule["expr"] = re.sub(r"(==|>=|>|<) *[\d.]+", ">= 0", rule["expr"])
        rule["for"] = "0s"
    assert _noticed(rules, tmp_path) >= set(ALERTS) - {"PullWatchdogNowhere"}  # it has no series to keep


@pytest.mark.parametrize("clause", [" and cause:pull_watchdog_nodes_hung:count >= 3", "ratio > 0.1 and"])
def test_cases_notice_a_missing_limit_of_many(clause: str, tmp_path: Path) -> None:
    """Both the share and the number make "many": pools of two and of forty need them."""
    text = RULES.read_text()
    assert text.count(clause) >= 1
    shorter = clause.replace("ratio > 0.1 and", "ratio >= 0 and") if "ratio" in clause else ""
    assert _noticed(yaml.safe_load(text.replace(clause, shorter)), tmp_path)


def test_each_alert_says_where_to_look() -> None:
    for rule in (rule for group in _rules()["groups"] for rule in group["rules"] if "alert" in rule):
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}
        assert rule["annotations"]["runbook"] == f"man 8 pull-watchdog, ALERTS, {rule['alert']}"


def test_the_manual_page_says_of_each_alert_what_to_do() -> None:
    section = PAGE.read_text().partition(".Sh ALERTS")[2].partition(".Sh")[0]
    told = re.findall(r"^\.It Cm (\w+)\n(?=[A-Z.])", section, re.MULTILINE)
    assert sorted(told) == sorted(ALERTS)


def test_the_example_scrapes_an_agent_as_it_is_installed() -> None:
    needs("promtool")
    assert "SUCCESS: 1 rule files found" in run("promtool", "check", "config", str(SCRAPE))
    (job,) = yaml.safe_load(SCRAPE.read_text())["scrape_configs"]
    listen = Config().metrics
    assert listen is not None
    assert job["static_configs"] == [{"targets": [f"{listen.host}:{listen.port}"]}]
    # What the alerts ask for.
    assert set(re.findall(r'job="([^"]+)"', RULES.read_text())) == {job["job_name"]}


def test_what_people_mend_is_the_same_to_the_alerts_as_to_the_agent() -> None:
    named = set(re.findall(r"""cause[!=]~"([a-z_|]+)\"""", RULES.read_text()))
    assert [set(one.split("|")) for one in named] == [{cause.value for cause in FOR_PEOPLE}]


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    known = _exposed()
    recorded = {rule["record"] for group in _rules()["groups"] for rule in group["rules"] if "record" in rule}
    asked = set(METRIC.findall(" ".join(_expressions())))
    assert asked - known == {name.split(":")[1] for name in recorded} & asked
    assert len(asked) > 10


def test_the_dashboards_panels_have_names_and_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: Set[Any] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"] and not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def _expressions() -> Iterator[str]:
    for group in _rules()["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def _exposed() -> Set[str]:
    """The names of all series that an agent serves."""
    metrics = Metrics(Policy())
    metrics.observe(Tick(now_ns=1, sentence="", sensors=(SensorState("log", True, ""),)), Vitals())
    lines = metrics.exposition().decode().splitlines()
    return {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")} | {
        line.split()[2] for line in lines if line.startswith("# TYPE")
    }


def _noticed(rules: Dict[str, Any], work: Path) -> Set[str]:
    """The alerts about which the cases complain, with these rules in the place of ours."""
    needs("promtool")
    (work / "alerts.yml").write_text(yaml.safe_dump(rules))
    (work / "alerts_test.yml").write_text(CASES.read_text())
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    done = subprocess.run(command, cwd=work, check=False, capture_output=True, timeout=300)
    said = (done.stdout + done.stderr).decode()
    assert "parse error" not in said and "yaml" not in said, said
    return set(re.findall(r"alertname: (\w+)", said))
