"""The log says each change once, survives a reader that does not read, and keeps secrets."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from tests.report.ticks import DOCKER, HUNG, ID, QUIET
from watchdog.config import LogFormat
from watchdog.core.observation import Api, SensorState
from watchdog.core.tick import Call, Decision, Transition
from watchdog.report.log import BURST_LINES, open_log

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Reader:
    """A log into a pipe, and the lines that came out of it."""

    def __init__(self, format=LogFormat.AUTO):
        self._read, write = os.pipe()
        self._stream = os.fdopen(write, "w")
        self.clock = Clock()
        self.log = open_log(format, self._stream, self.clock)

    def lines(self):
        assert self.log.close(5)
        self._stream.close()
        with open(self._read) as file:
            return [json.loads(line) for line in file]


@pytest.fixture
def reader():
    return Reader()


def test_a_pipe_gets_json_with_level_time_and_fields(reader):
    reader.log.say("started", "warning", mode="observe", nothing=None, empty="")

    (line,) = reader.lines()
    assert list(line) == ["timestamp", "level", "event", "mode"]
    timestamp = line.pop("timestamp")
    assert line == {"event": "started", "level": "warning", "mode": "observe"}
    assert timestamp.endswith("Z")


def can_colour():
    """structlog 20.1 needs colorama for it."""
    try:
        structlog.dev.ConsoleRenderer(colors=True)
    except SystemError:
        return False
    return True


@pytest.mark.parametrize("plain", [True, False])
def test_a_terminal_gets_lines_for_people_in_colour_unless_they_said_no(monkeypatch, plain):
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    main, secondary = pty.openpty()
    with os.fdopen(secondary, "w") as stream:
        log = open_log(LogFormat.AUTO, stream)
        log.say("incident confirmed", "warning", pid=4242)
        assert log.close(5)
        text = os.read(main, 4096).decode()
    os.close(main)

    assert "incident confirmed" in text
    assert "{" not in text
    if plain or can_colour():
        assert ("\x1b[" in text) is not plain
    assert "pid=4242" in re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_an_incident_is_told_once_however_many_ticks_it_lasts(reader):
    reader.log.observe(QUIET)
    reader.log.observe(HUNG)
    for n in range(100):
        reader.log.observe(replace(HUNG, now_ns=HUNG.now_ns + n, transitions=()))

    lines = reader.lines()
    (told,) = [line for line in lines if line["event"] == "incident confirmed"]
    assert (told["incident"], told["cause"], told["pid"]) == (ID, "decompressor_stopped", 4242)
    assert (told["exe"], told["image"]) == ("/usr/bin/pigz", "localhost:5000/big:1")
    assert (told["level"], told["reason"]) == ("warning", "all 3 threads of unpigz are stopped (T)")
    assert len([line for line in lines if line["event"] == "decision: would act"]) == 1
    # Two sensors and a runtime came up, an incident, a decision, and one sentence about it.
    assert len(lines) == 6


def test_giving_up_is_an_error(reader):
    reader.log.observe(
        replace(HUNG, transitions=(Transition(ID, "confirmed", "gave_up", "resume did not help"),))
    )

    assert [one["level"] for one in reader.lines() if one["event"] == "incident gave up"] == ["error"]


def test_a_countdown_is_one_line_and_another_reason_is_another(reader):
    for seconds in range(9, 0, -1):
        wait = Decision(ID, Call.WAIT, f"resume again in {seconds} s")
        reader.log.observe(replace(HUNG, transitions=(), decisions=(wait,)))
    reader.log.observe(
        replace(HUNG, transitions=(), decisions=(Decision(ID, Call.REFUSE, "hands off: traced"),))
    )

    told = [line["reason"] for line in reader.lines() if line["event"].startswith("decision")]
    assert told == ["resume again in 9 s", "hands off: traced"]


def test_a_decision_that_comes_back_is_told_again(reader):
    act = HUNG.decisions[0]
    for decision in (act, Decision(ID, Call.WAIT, "paused"), act, act):
        reader.log.observe(replace(HUNG, transitions=(), decisions=(decision,)))

    told = [line["event"] for line in reader.lines() if line["event"].startswith("decision")]
    assert told == ["decision: would act", "decision: wait", "decision: would act"]


def test_a_sensor_and_a_runtime_are_told_when_they_change(reader):
    down = (SensorState("log:docker", False, "permission denied"),)
    for tick in (QUIET, QUIET, replace(QUIET, sensors=down), replace(QUIET, sensors=down)):
        reader.log.observe(tick)
    reader.log.observe(replace(QUIET, runtimes=(replace(DOCKER, api=Api.SILENT),)))

    events = [line["event"] for line in reader.lines()]
    assert events.count("sensor up") == 3  # two at first, one again
    assert events.count("sensor down") == 1
    assert events.count("runtime answers") == 1
    assert events.count("runtime silent") == 1


def test_pausing_is_told_when_it_begins_and_when_it_ends(reader):
    for reason in ("", "maintenance", "maintenance", ""):
        reader.log.observe(replace(QUIET, paused=reason))

    told = [line["event"] for line in reader.lines() if "paused" in line["event"]]
    assert told == ["all action is paused", "action is no longer paused"]


def test_a_sentence_that_goes_to_and_fro_is_not_told_at_every_tick(reader):
    for n in range(50):
        reader.clock.now += 1
        reader.log.observe(
            replace(QUIET, sentence="no pull is under way" if n % 2 else f"{n} pull(s) under way")
        )

    told = [line["event"] for line in reader.lines() if "under way" in line["event"]]
    assert len(told) == 2


def test_a_flood_is_cut_counted_and_told(reader):
    for n in range(BURST_LINES + 40):
        reader.log.say("a line", n=n)
    assert reader.log.dropped == 40
    reader.clock.now += 10
    reader.log.say("calm again")

    lines = reader.lines()
    assert len(lines) == BURST_LINES + 2
    assert (lines[-2]["lines"], lines[-1]["event"]) == (40, "calm again")


def test_a_slow_trickle_is_not_cut(reader):
    for _ in range(300):
        reader.clock.now += 0.5
        reader.log.say("a line")

    assert reader.log.dropped == 0
    assert len(reader.lines()) == 300


def test_a_reader_that_does_not_read_stops_nobody():
    read, write = os.pipe()
    clock = Clock()
    log = open_log(LogFormat.JSON, os.fdopen(write, "w"), clock)

    before = time.monotonic()
    for _ in range(2000):
        clock.now += 1
        log.say("x" * 500)
    assert not log.close(0.1)

    assert time.monotonic() - before < 10
    assert log.dropped > 1000
    os.close(read)  # the thread gets its error and ends


def test_credentials_are_not_logged(reader):
    reader.log.say(
        "pulling https://ci:hunter2222@registry.example", command="docker login --password hunter2222"
    )

    assert "hunter2222" not in json.dumps(reader.lines())


JOURNAL = """
    import json, os, socket, sys
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind("/run/systemd/journal/socket")
    journal.settimeout(5)
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino + SHIFT}"
    from watchdog.config import LogFormat
    from watchdog.report.log import open_log
    log = open_log(LogFormat.AUTO)
    log.say("incident confirmed", "warning", incident="pw-1", pid=4242)
    assert log.close(5)
    if not SHIFT:
        print(journal.recv(65536).decode())
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs a mount namespace of its own"
)
@pytest.mark.parametrize(("shift", "where"), [(0, "journal"), (1, "stderr")])
def test_the_journal_gets_fields_and_another_stream_gets_text(shift, where):
    pytest.importorskip("systemd.journal")
    setup = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && exec "
    script = textwrap.dedent(JOURNAL).replace("SHIFT", str(shift))
    done = subprocess.run(
        [
            "unshare",
            "-m",
            "--propagation",
            "slave",
            "sh",
            "-c",
            setup + '"$@"',
            "sh",
            sys.executable,
            "-c",
            script,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    if where == "journal":
        fields = done.stdout.splitlines()
        assert "MESSAGE=incident confirmed: incident=pw-1, pid=4242" in fields
        assert "PULL_WATCHDOG_INCIDENT=pw-1" in fields
        assert "PULL_WATCHDOG_PID=4242" in fields
        assert "PRIORITY=4" in fields
        assert "SYSLOG_IDENTIFIER=pull-watchdog" in fields
        assert done.stderr == ""
    else:
        assert json.loads(done.stderr)["event"] == "incident confirmed"
