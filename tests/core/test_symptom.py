"""One log line -> its symptom: each kind beside the look-alike that must be left alone."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from watchdog.core.symptom import SymptomKind, classify

K = SymptomKind
BLOB = "sha256:" + "5b8c6fdb2a7fd493" * 4

LOGS = Path(__file__).resolve().parents[1] / "fixtures" / "logs"


def lines_of(name: str) -> List[str]:
    """The lines of a fixture, without its comment."""
    text = (LOGS / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


SHOWN = [(K(kind), line) for kind, line in (row.split("\t", 1) for row in lines_of("shown.tsv"))]
HARMLESS = lines_of("harmless.txt")


@pytest.mark.parametrize(("kind", "line"), SHOWN)
def test_shows(kind, line):
    assert classify(line).kind is kind


@pytest.mark.parametrize("line", HARMLESS)
def test_leaves_alone(line):
    assert classify(line).kind is K.NONE


def test_every_kind_is_tried():
    assert {kind for kind, _ in SHOWN} | {K.NONE} == set(SymptomKind)


# --- the same words, decided by what stands beside them -----------------------------------


@pytest.mark.parametrize(
    ("request_line", "status", "kind"),
    [
        ("HEAD /v2/a/blobs/sha256:1", 404, K.NONE),
        ("GET /v2/a/manifests/1", 404, K.NOT_FOUND),
        ("GET /favicon.ico", 404, K.NONE),
        ("GET /v2/a/blobs/sha256:1", 503, K.SERVER_ERROR),
        ("GET /v2/a/blobs/sha256:1", 206, K.NONE),
        ("GET /v2/a/blobs/sha256:1", 416, K.RANGE_UNSUPPORTED),
        ("GET /v2/a/manifests/1", 429, K.RATE_LIMITED),
        ("GET /v2/", 401, K.NONE),
        ("POST /v2/a/blobs/uploads/", 401, K.NONE),
        ("PATCH /v2/a/blobs/uploads/1", 401, K.AUTH),
        ("GET /service/token?account=x", 401, K.AUTH),
        ("PATCH /v2/a/blobs/uploads/1", 413, K.SERVER_ERROR),
    ],
)
def test_a_status_means_what_was_asked(request_line, status, kind):
    line = (
        f'10.0.0.7 - - [06/Mar/2025:09:12:33 +0000] "{request_line} HTTP/1.1" '
        f'{status} 0 "-" "docker/20" 0.1 .'
    )
    assert classify(line).kind is kind


@pytest.mark.parametrize(
    ("took", "kind"), [("15.002", K.NET_TIMEOUT), ("0.120", K.NONE)], ids=["gave up", "went away"]
)
def test_a_client_that_leaves_the_token_service_after_15_s_gave_up(took, kind):
    line = f'10.0.0.7 - "GET /service/token?account=x HTTP/1.1" 499 0 "-" "docker/1.13" {took} - .'
    assert classify(line).kind is kind


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("sH--", K.NET_TIMEOUT),
        ("SD--", K.NET_RESET),
        ("SC--", K.NET_REFUSED),
        ("CD--", K.CANCELED),
        ("----", K.NONE),
    ],
)
def test_haproxy_tells_who_ended_a_session(ending, kind):
    line = (
        "Mar  6 09:12:33 lb haproxy[1]: 10.0.0.1:5000 [06/Mar/2025:09:11:33.000] fe be/srv1 0/0/1/20/61002 "
        f'200 1091061683 - - {ending} 1/1/0/0/0 0/0 "GET /v2/a/blobs/sha256:1 HTTP/1.1"'
    )
    symptom = classify(line)
    assert symptom.kind is kind
    if kind is not K.NONE:
        assert (symptom.size_bytes, symptom.duration_ns) == (1091061683, 61_002_000_000)


# --- what a line carries besides ------------------------------------------------------------


def test_attempts_level_and_component():
    line = (
        'Sep 08 01:12:08 n dockerd[8434]: time="2022-09-08T01:12:08.681917626Z" level=info '
        'msg="Download failed, retrying (2/5): expected HTTP 206 from byte range request"'
    )
    symptom = classify(line)
    assert (symptom.attempt, symptom.attempts) == (2, 5)
    assert (symptom.component, symptom.level) == ("dockerd", "info")
    assert symptom.wall_ns == 1662599528_681917626


def test_a_final_line_has_a_number_and_no_bound():
    symptom = classify('level=error msg="Download failed after 6 attempts: unexpected EOF"')
    assert (symptom.attempt, symptom.attempts) == (6, None)


def test_the_registrys_fields():
    line = (
        'time="2022-09-08T02:30:50Z" level=error msg="response completed with error" err.code=unknown '
        f'go.version=go1.16 http.request.method=GET http.request.uri="/v2/ml/trainer/blobs/{BLOB}" '
        "http.response.duration=3m30.111855949s http.response.status=500 http.response.written=1091061683"
    )
    symptom = classify(line)
    assert (symptom.status, symptom.method, symptom.size_bytes) == (500, "GET", 1091061683)
    assert symptom.duration_ns == 210_111_855_949
    assert (symptom.image, symptom.digest, symptom.component) == ("ml/trainer", BLOB, "distribution")


def test_what_a_registrys_storage_said_is_more_than_the_status():
    line = (
        'time="2022-03-09T12:00:01Z" level=error msg="response completed with error" err.code=unknown '
        'err.detail="s3aws: SlowDown: Please reduce your request rate. status code: 503" '
        'err.message="unknown error" http.request.method=PUT http.response.status=500'
    )
    symptom = classify(line)
    assert (symptom.kind, symptom.detail, symptom.status) == (K.SERVER_ERROR, "reg.s3_throttle", 500)


def test_the_age_of_a_lock():
    error = f"ref a/1/layer-{BLOB} locked for 1h2m3.5s: unavailable"
    line = f'level=error msg="(*service).Write failed" error="{error}"'
    assert classify(line).locked_for_ns == 3_723_500_000_000


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("dial tcp 10.0.0.9:5000: connect: connection refused", "10.0.0.9:5000"),
        ("dial tcp [fd00::9]:5000: connect: connection refused", "[fd00::9]:5000"),
        ("read tcp 10.0.0.7:41000->10.0.0.9:443: read: connection reset by peer", "10.0.0.9:443"),
        ('Get "https://reg.example.lan:5000/v2/": EOF', "reg.example.lan:5000"),
        (
            "dial unix /run/containerd/containerd.sock: connect: connection refused",
            "/run/containerd/containerd.sock",
        ),
        ("ERROR sign:1-1 lineno:34 : connect to ip:127.0.0.1 port:8001 fail", "127.0.0.1:8001"),
    ],
)
def test_the_address(line, address):
    assert classify(line).address == address


def test_the_image():
    symptom = classify(
        'E0101 Failed to pull image "hub.example.lan/a/b:1.2": dial tcp 10.0.0.9:443: i/o timeout'
    )
    assert symptom.image == "hub.example.lan/a/b:1.2"


def test_no_image_where_none_is_named():
    symptom = classify("error pulling image configuration: received unexpected HTTP status: 502 Bad Gateway")
    assert (symptom.status, symptom.image) == (502, "")


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("manifest for localhost:5000/x:nope not found: manifest unknown", "localhost:5000/x:nope"),
        ("pull access denied for foo, repository does not exist or may require 'docker login'", "foo"),
        ('"PullImage from image service failed" err="unexpected EOF" image="a.example/b:1"', "a.example/b:1"),
        ('"PullImage failed" err="unexpected EOF" image="a.example/b:1"', "a.example/b:1"),
    ],
)
def test_the_image_that_was_asked_for(line, image):
    assert classify(line).image == image
