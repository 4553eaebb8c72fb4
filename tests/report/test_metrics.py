"""What Prometheus scrapes: real HTTP, the real linter, bounded series, counted once."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.report.ticks import HUNG, ID, QUIET, action, record
from watchdog.config import Listen
from watchdog.core.incident import State
from watchdog.core.observation import Outcome, SensorState
from watchdog.core.policy import Policy
from watchdog.core.tick import Call, Decision
from watchdog.errors import Unavailable
from watchdog.report.metrics import Metrics
from watchdog.report.metrics_server import CONTENT_TYPE, MetricsServer
from watchdog.report.vitals import Vitals

VITALS = Vitals(
    engine="libbpf", kernel_events_lost=3, tick_ns=2_000_000, ledger_usable=True, dropped=(("log", 1),)
)
ANY_PORT = Listen("127.0.0.1", 0)


@pytest.fixture
def metrics():
    return Metrics(Policy(), wall_s=lambda: 1_700_000_000.5)


def value(metrics, name, **labels):
    """The value of one series, None when it is not there."""
    wanted = f"pull_watchdog_{name}"
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            if sample.name == wanted and sample.labels == labels:
                return sample.value
    return None


def test_a_quiet_host(metrics):
    metrics.observe(QUIET, VITALS)

    assert value(metrics, "build_info", version="0.1.0") == 1
    assert value(metrics, "mode", mode="observe") == 1
    assert value(metrics, "mode", mode="enforce") == 0
    assert value(metrics, "engine_info", engine="libbpf") == 1
    assert value(metrics, "kernel_events_lost_total") == 3
    assert value(metrics, "dropped_total", queue="log") == 1
    assert value(metrics, "sensor_up", sensor="log:docker") == 1
    assert value(metrics, "pulls_active") == 0
    assert value(metrics, "incidents", cause="decompressor_stopped", state="confirmed") == 0
    assert value(metrics, "incidents_total", cause="decompressor_stopped") == 0
    assert value(metrics, "gave_up") == 0
    assert value(metrics, "budget_remaining", remedy="resume", cause="decompressor_stopped") == 6
    assert value(metrics, "inhibited", reason="pause") == 0
    assert value(metrics, "action_in_flight") == 0
    assert value(metrics, "ledger_usable") == 1
    assert value(metrics, "last_tick_timestamp_seconds") == 1_700_000_000.5
    assert value(metrics, "tick_duration_seconds_count") == 1
    assert value(metrics, "tick_duration_seconds_sum") == 0.002


def test_a_hung_pull_is_counted_once_however_many_ticks_it_lasts(metrics):
    metrics.observe(QUIET, VITALS)
    metrics.observe(HUNG, VITALS)
    for _ in range(10):
        metrics.observe(replace(HUNG, transitions=()), VITALS)

    assert value(metrics, "incidents", cause="decompressor_stopped", state="confirmed") == 1
    assert value(metrics, "incidents_total", cause="decompressor_stopped") == 1
    assert value(metrics, "decisions_total", remedy="resume", verdict="would_act") == 1
    assert value(metrics, "pulls_active") == 1
    assert value(metrics, "extraction_still_seconds", role="decompressor") == 14
    assert value(metrics, "extraction_still_seconds", role="untar") == 3


def test_a_decision_that_changes_to_and_fro_counts_each_time(metrics):
    wait = replace(HUNG, decisions=(Decision(ID, Call.WAIT, "paused"),))
    for tick in (HUNG, wait, HUNG):
        metrics.observe(tick, VITALS)

    assert value(metrics, "decisions_total", remedy="resume", verdict="would_act") == 2
    assert value(metrics, "decisions_total", remedy="none", verdict="wait") == 1


def test_undoing_a_change_of_an_incident_is_another_decision(metrics):
    undo = Decision(ID, Call.WOULD_ACT, "its time is over", "substitute_decompressor", undo="a1")
    for _ in range(5):
        metrics.observe(replace(HUNG, decisions=(*HUNG.decisions, undo)), VITALS)

    assert value(metrics, "decisions_total", remedy="resume", verdict="would_act") == 1
    assert value(metrics, "decisions_total", remedy="substitute_decompressor", verdict="would_act") == 1


def test_an_action_counts_when_its_outcome_is_known_and_only_once(metrics):
    metrics.observe(QUIET, VITALS)
    running = replace(HUNG, incidents=(record(state=State.ACTING, actions=(action(None),)),))
    metrics.observe(running, replace(VITALS, action_in_flight="resume"))
    assert value(metrics, "actions_total", remedy="resume", outcome="done") == 0
    assert value(metrics, "action_in_flight") == 1

    done = replace(HUNG, incidents=(record(state=State.VERIFYING, actions=(action(Outcome.DONE),)),))
    metrics.observe(done, VITALS)
    metrics.observe(replace(done, verdicts=((ID, "recovered"),)), VITALS)

    assert value(metrics, "actions_total", remedy="resume", outcome="done") == 1
    assert value(metrics, "verifications_total", result="recovered") == 1
    assert value(metrics, "action_in_flight") == 0


def test_actions_of_an_earlier_agent_do_not_count(metrics):
    remembered = replace(HUNG, incidents=(record(actions=(action(Outcome.DONE),)),), transitions=())
    metrics.observe(remembered, VITALS)
    metrics.observe(remembered, VITALS)

    assert value(metrics, "actions_total", remedy="resume", outcome="done") == 0


def test_giving_up_shows_and_an_ended_incident_no_longer_does(metrics):
    metrics.observe(replace(HUNG, incidents=(record(state=State.GAVE_UP),)), VITALS)
    assert value(metrics, "gave_up") == 1

    metrics.observe(replace(HUNG, incidents=(record(state=State.RECOVERED),)), VITALS)
    assert value(metrics, "gave_up") == 0
    assert value(metrics, "incidents", cause="decompressor_stopped", state="recovered") is None


def test_no_image_and_no_pid_is_in_it_and_the_series_are_bounded(metrics):
    for n in range(50):
        incident = record(id=f"pw-{n:08d}")
        sensors = (SensorState("log:docker", n % 2 == 0, f"detail {n}"),)
        metrics.observe(replace(HUNG, incidents=(incident,), sensors=sensors), VITALS)

    text = metrics.exposition().decode()
    assert "localhost:5000" not in text
    assert "4242" not in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) < 500


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is in Debian's package prometheus")
def test_promtool_finds_nothing_to_say(metrics):
    metrics.observe(HUNG, VITALS)

    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=metrics.exposition(),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# --- over HTTP -----------------------------------------------------------------------


@pytest.fixture
def server(metrics):
    server = MetricsServer(ANY_PORT, metrics.exposition)
    yield server
    server.close()


def get(server, path):
    return urllib.request.urlopen(f"http://{server.address}{path}", timeout=5)


def test_a_scrape_gets_the_newest_tick(server, metrics):
    metrics.observe(HUNG, VITALS)

    with get(server, "/metrics") as answer:
        assert answer.headers["Content-Type"] == CONTENT_TYPE
        assert b"pull_watchdog_pulls_active 1.0" in answer.read()


def test_other_paths_say_where_the_metrics_are(server):
    with get(server, "/") as answer:
        assert b"/metrics" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(server, "/metric")


def test_a_port_in_use_is_one_clear_line_and_a_free_one_is_not(server, metrics):
    host, _, port = server.address.rpartition(":")
    with pytest.raises(Unavailable) as caught:
        MetricsServer(Listen(host, int(port)), metrics.exposition)

    assert server.address in str(caught.value)
    assert "Address already in use" in str(caught.value)
    assert "metrics.listen" in str(caught.value)
    assert "\n" not in str(caught.value)
    MetricsServer(ANY_PORT, metrics.exposition).close()


def test_after_close_the_port_is_free_at_once(metrics):
    first = MetricsServer(ANY_PORT, metrics.exposition)
    get(first, "/metrics").close()
    first.close()
    host, _, port = first.address.rpartition(":")

    MetricsServer(Listen(host, int(port)), metrics.exposition).close()


def test_clients_that_say_nothing_hold_up_nobody_for_long(server):
    host, _, port = server.address.rpartition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(4)]

    before = time.monotonic()
    with get(server, "/metrics") as answer:
        answer.read()
    assert time.monotonic() - before < 2

    silent += [socket.create_connection((host, int(port))) for _ in range(20)]
    deadline = time.monotonic() + 20
    while True:  # the silent ones are thrown out after their deadline
        try:
            get(server, "/metrics").close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    for client in silent:
        client.close()


def test_ipv6_is_served(metrics):
    try:
        server = MetricsServer(Listen("::1", 0), metrics.exposition)
    except Unavailable as error:
        pytest.skip(str(error))
    assert server.address.startswith("[::1]:")
    get(server, "/metrics").close()
    server.close()
