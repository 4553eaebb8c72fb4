"""The wrappings that a line comes in: the same message gives the same symptom in each of them."""

from __future__ import annotations

import json

import pytest

from watchdog.core.symptom import LogClock, SymptomKind, classify, parse

MESSAGE = "Download failed, retrying (2/5): unexpected EOF"
LOGRUS = f'time="2022-09-08T01:12:08.5Z" level=info msg="{MESSAGE}"'
AT_NS = 1662599528_500000000
CLOCK = LogClock(newest_ns=1663000000 * 10**9)

WRAPPED = {
    "logrus": LOGRUS,
    "logrus on a terminal": f"INFO[2022-09-08T01:12:08.5Z] {MESSAGE}",
    "logrus with its head cut off": f'el=info msg="{MESSAGE}"',
    "syslog": f"Sep 08 01:12:08 node7 dockerd[8434]: {LOGRUS}",
    "syslog without a host": f"dockerd[8434]: {LOGRUS}",
    "syslog in French": f"sept. 08 01:12:08 node7 dockerd[8434]: {LOGRUS}",
    "syslog in Chinese": f"9月 08 01:12:08 node7 dockerd[8434]: {LOGRUS}",
    "syslog with a priority": f"<30>Sep  8 01:12:08 node7 dockerd[8434]: {LOGRUS}",
    "RFC 5424": f"<30>1 2022-09-08T01:12:08.5Z node7 dockerd 8434 - - {LOGRUS}",
    "RFC 5424 with data": f'<30>1 2022-09-08T01:12:08.5Z node7 dockerd 8434 ID [a@1 b="c"] {LOGRUS}',
    "journalctl -o short-iso": f"2022-09-08T01:12:08+0000 node7 dockerd[8434]: {LOGRUS}",
    "journalctl -o short-full": f"Thu 2022-09-08 01:12:08 UTC node7 dockerd[8434]: {LOGRUS}",
    "journalctl -o short-monotonic": f"[ 1200.123456] node7 dockerd[8434]: {LOGRUS}",
    "journalctl -o export": f"MESSAGE={LOGRUS}",
    "journalctl -o json": json.dumps({"MESSAGE": LOGRUS, "SYSLOG_IDENTIFIER": "dockerd"}),
    "journalctl -o json, not plain text": json.dumps({"MESSAGE": list(LOGRUS.encode())}),
    "docker's json-file": json.dumps(
        {"log": LOGRUS + "\n", "stream": "stderr", "time": "2022-09-08T01:12:09Z"}
    ),
    "the CRI's log files": f"2022-09-08T01:12:09.7+00:00 stderr F {LOGRUS}",
    "docker-compose": f"registry_1  | {LOGRUS}",
    "kubectl logs --prefix": f"[pod/dfdaemon-x/dfdaemon] {LOGRUS}",
    "JSON": json.dumps({"level": "info", "ts": "2022-09-08 01:12:08.5", "msg": MESSAGE}),
    "JSON that is cut off": json.dumps({"level": "info", "msg": MESSAGE, "peer": "x" * 50})[:-20],
    "klog": f"I0908 01:12:08.500000   46185 image.go:12] {MESSAGE}",
    "zap on a terminal": f"2022-09-08T01:12:08.5Z\tINFO\tpeer/task.go:12\t{MESSAGE}",
    "Rust tracing": f"2022-09-08T01:12:08.5+00:00  INFO download:piece: src/task.rs:12: {MESSAGE}",
    "Harbor": f"2022-09-08T01:12:08Z [INFO] [/core/main.go:97]: {MESSAGE}",
    "nginx": f"2022/09/08 01:12:08 [error] 7#7: *3 {MESSAGE}",
    "Dragonfly 1": f"2022-09-08 01:12:08.500 INFO sign:61-15.9 : {MESSAGE}",
    "colours": f"\x1b[36mINFO\x1b[0m[0005] \x1b[1m{MESSAGE}\x1b[0m",
    "quoted in a message": f"> * {LOGRUS}",
    "Windows line end": LOGRUS + "\r\n",
}


@pytest.mark.parametrize("line", WRAPPED.values(), ids=WRAPPED.keys())
def test_the_symptom_is_the_same_in_every_wrapping(line):
    symptom = classify(line, CLOCK)
    assert symptom.kind is SymptomKind.NET_RESET
    assert (symptom.attempt, symptom.attempts) == (2, 5)


@pytest.mark.parametrize(
    "name",
    [
        "logrus",
        "syslog",
        "RFC 5424",
        "JSON",
        "docker's json-file",
        "the CRI's log files",
        "Rust tracing",
        "klog",
    ],
)
def test_the_innermost_time_counts(name):
    assert parse(WRAPPED[name], CLOCK).wall_ns == AT_NS


def test_a_message_is_unescaped():
    entry = parse('time="2022-09-08T01:12:08Z" level=error msg="a \\"b\\" \\u003e c" error="d\\ne" id=7')
    assert entry.text == 'a "b" > c: d\ne'
    assert entry.fields["id"] == "7"


def test_a_stack_trace_beside_the_message_says_nothing():
    line = json.dumps(
        {"level": "info", "msg": "receive back source code", "stacktrace": "x.timeoutError\n\tio timeout"}
    )
    assert classify(line).kind is SymptomKind.NONE


def test_an_access_log_in_json_is_read_like_any_other():
    line = json.dumps({"method": "GET", "uri": "/v2/a/blobs/sha256:1", "status": "503", "bytes_sent": "12"})
    healthy = json.dumps(
        {"method": "GET", "uri": "/v2/a/blobs/sha256:1", "status": "200", "bytes_sent": "12"}
    )
    assert classify(line).kind is SymptomKind.SERVER_ERROR
    assert classify(healthy).kind is SymptomKind.NONE


# --- clocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("2021-10-28T01:06:22.742388072+08:00", 1635354382),
        ("2018-11-30 17:38:50,973", 1543599530),
        ("2019/04/18 10:33:44", 1555583624),
        ("06/Mar/2025:09:12:33 +0000", 1741252353),
        ("Thu May 14 23:17:24 2020", 1589498244),
        ("1662599440123456", 1662599440),
        ("1662599440.123", 1662599440),
    ],
)
def test_times_with_a_year(stamp, seconds):
    from watchdog.core.symptoms.log_time import wall_ns

    assert wall_ns(stamp) // 10**9 == seconds


def test_a_stamp_without_a_year_is_the_latest_that_fits():
    from watchdog.core.symptoms.log_time import wall_ns

    new_year = LogClock(newest_ns=1672531800 * 10**9)  # 2023-01-01 00:10
    assert wall_ns("Dec 31 23:59:00", new_year) == 1672531140 * 10**9
    assert wall_ns("Jan  1 00:05:00", new_year) == 1672531500 * 10**9
    assert wall_ns("Dec 31 23:59:00") is None


def test_a_stamp_without_a_zone_is_the_hosts():
    from watchdog.core.symptoms.log_time import wall_ns

    assert wall_ns("2022-09-08 09:12:08", LogClock(0, utc_offset_s=8 * 3600)) == 1662599528 * 10**9


@pytest.mark.parametrize(
    "stamp", ["2022-02-30T10:00:00Z", "2022-13-01 10:00:00", "99:99:99", "", "Foo 12 10:00:00"]
)
def test_no_time_is_made_up(stamp):
    from watchdog.core.symptoms.log_time import wall_ns

    assert wall_ns(stamp, CLOCK) is None
