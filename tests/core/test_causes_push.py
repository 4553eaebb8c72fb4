"""core/causes/{push,registry}: each cause, and beside it what almost looks like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest

from tests.core.pushing import COMMIT, DAEMON, IMAGE, LIMITS, MANIFEST, MB, Pushing
from watchdog.core.evidence import Kind
from watchdog.core.observation import ProcessSample

HTML = "error parsing HTTP 404 response body: invalid character '<' looking for beginning of value"
BROKEN = "Patch http://localhost:5000/v2/: write tcp 127.0.0.1:1->127.0.0.1:5000: write: broken pipe"


def status(number: int) -> str:
    return f"received unexpected HTTP status: {number} Something"


def hung(sent: int = COMMIT) -> Pushing:
    """A push whose last request is not answered."""
    pushing = Pushing()
    pushing.tick(3)
    pushing.client()
    pushing.upload()
    pushing.request(sent)
    pushing.tick(LIMITS.push_commit + 2)
    return pushing


# --- push_commit_stalled ---------------------------------------------------------------------


@pytest.mark.parametrize("sent", [COMMIT, MANIFEST, 20 * MB], ids=["commit", "manifest", "upload"])
def test_a_request_of_a_push_that_is_never_answered(sent: int) -> None:
    (finding,) = hung(sent).confirmed
    assert finding.cause.value == "push_commit_stalled"
    assert {one.kind for one in finding.evidence} == {Kind.SOCKET, Kind.PROCESS_STATE}
    assert finding.target is not None and finding.target.endpoint == "localhost:5000"
    assert finding.images == (IMAGE,) and "ss -tK dst 127.0.0.1 dport = :5000" in finding.advice[0]


def test_its_name_is_the_same_from_look_to_look_and_after_a_restart_of_ours() -> None:
    before, after = hung(), hung()
    names = {one.name for one in before.findings}
    before.tick(5)
    assert names == {one.name for one in before.findings} == {one.name for one in after.findings}


def test_behind_tls_the_handshake_is_no_answer() -> None:
    pushing = Pushing()
    pushing.client()
    pushing.tick(3)
    pushing.request(received_bytes=5_300)
    pushing.tick(LIMITS.push_commit + 2)
    assert pushing.causes == ["push_commit_stalled"]


def test_a_commit_that_is_answered_after_25_s_is_left_alone() -> None:
    pushing = hung_for(25)
    pushing.answered(pushing.requests[0])
    pushing.request(MANIFEST)
    pushing.tick(30)
    assert pushing.confirmed == []


def hung_for(seconds: int) -> Pushing:
    pushing = Pushing()
    pushing.client()
    pushing.upload()
    pushing.request()
    pushing.tick(seconds)
    return pushing


def test_a_large_layer_may_take_longer_to_be_kept() -> None:
    pushing = Pushing()
    pushing.tick(3)
    pushing.client()
    pushing.upload(10_000 * MB)
    pushing.request()
    pushing.tick(240)
    assert pushing.confirmed == []
    pushing.tick(30)
    assert pushing.causes == ["push_commit_stalled"]


def test_a_slow_upload_is_left_alone() -> None:
    pushing = Pushing()
    pushing.client()
    pushing.request(rate=20_000)
    pushing.tick(300)
    assert pushing.findings == []


@pytest.mark.parametrize(
    "fields",
    [
        {"send_queue_bytes": 65_552},  # the network or the peer does not take it
        {"receive_queue_bytes": 200},  # the answer is there: the runtime does not read it
        {"state": 8},  # the peer has closed
        {"acked_bytes": 1},  # nothing was asked
        {"received_bytes": 5 * MB},  # an answer, of a pull perhaps
    ],
    ids=lambda one: next(iter(one)),
)
def test_silence_that_is_no_wait_for_an_answer(fields: dict[str, int]) -> None:
    pushing = Pushing()
    pushing.client()
    pushing.request(**fields)
    pushing.tick(300)
    assert pushing.findings == []


@pytest.mark.parametrize("what", ["nobody pushes", "another registry", "not seen"])
def test_silence_that_is_no_pushs(what: str) -> None:
    pushing = Pushing()
    if what != "nobody pushes":
        pushing.client()
    request = pushing.request(remote="10.0.0.9:24224" if what == "another registry" else "127.0.0.1:5000")
    if what == "not seen":
        request.sample = replace(request.sample, acked_bytes=None)
    pushing.tick(300, seconds=1.0)
    assert pushing.findings == []


def test_looks_with_gaps_between_them_count_for_nothing() -> None:
    pushing = Pushing()
    pushing.client()
    pushing.request()
    pushing.tick(100, seconds=10.0)
    assert pushing.confirmed == []


def test_a_layer_that_cannot_be_read_is_the_disks_fault() -> None:
    pushing = Pushing()
    pushing.world.daemons["docker"] = ProcessSample(DAEMON, 1, "dockerd", states="SDS")
    pushing.client()
    pushing.request()
    pushing.tick(300)
    assert pushing.findings == []


def test_a_push_that_waits_behind_another_one_is_left_alone() -> None:
    pushing = Pushing()
    pushing.client()
    pushing.request(rate=20_000)
    pushing.client("localhost:5000/big:2")  # of the same layers: it has no request of its own
    pushing.tick(300)
    assert pushing.findings == []


def test_a_push_that_joins_what_a_client_left_behind_is_told() -> None:
    pushing = Pushing()
    pushing.tick(3)
    first = pushing.client()
    pushing.request()
    pushing.tick(10)
    pushing.leave(first)
    pushing.tick(40)
    pushing.client("localhost:5000/big:2")
    pushing.tick(LIMITS.push_commit + 2)
    (finding,) = pushing.confirmed
    assert "older than who waits now" in finding.evidence[0].text


@pytest.mark.parametrize("seen_before", [True, False])
def test_what_a_client_left_behind_does_not_accuse_a_push_that_gets_on(seen_before: bool) -> None:
    pushing = Pushing()
    pushing.request()
    if seen_before:
        pushing.tick(40)
    pushing.client()
    pushing.request(rate=1 * MB)
    pushing.tick(300)
    assert pushing.confirmed == []


def test_a_request_that_may_be_a_pulls_is_not_told_as_a_pushs() -> None:
    pushing = Pushing()
    pushing.tick(3)
    pushing.client()
    pushing.client(verb="pull")
    pushing.tick()
    pushing.request()
    pushing.tick(300)
    assert pushing.findings == []


def test_one_hung_push_is_told_beside_one_that_gets_on() -> None:
    pushing = Pushing()
    pushing.tick(3)
    pushing.client()
    pushing.client("localhost:5000/well:1")
    pushing.request(rate=1 * MB)
    pushing.tick(2)
    pushing.request()
    pushing.tick(LIMITS.push_commit + 2)
    assert pushing.causes == ["push_commit_stalled"]


def test_what_a_client_left_behind_does_not_hide_a_hung_push() -> None:
    pushing = Pushing()
    pushing.request()
    pushing.tick(40)
    pushing.client()
    pushing.client("localhost:5000/well:1")
    pushing.request(rate=1 * MB)
    hung = pushing.request()
    pushing.tick(LIMITS.push_commit + 2)
    (finding,) = pushing.confirmed
    assert finding.target is not None and finding.target.connection is not None
    assert finding.target.connection.cookie == hung.sample.cookie


# --- registry_error and registry_overloaded ------------------------------------------------------


def refused(error: str, times: int = 2, uploads: int = 1, final: bool = False) -> Pushing:
    """So many times, five seconds apart, each of so many layers at once."""
    pushing = Pushing()
    pushing.tick(3)
    pushing.client()
    words = "Attempting next endpoint for push after error" if final else "Upload failed, retrying"
    for _ in range(times):
        pushing.upload(count=uploads)
        for _ in range(uploads):
            pushing.says(f"{words}: {error}")
        pushing.tick(5)
    return pushing


@pytest.mark.parametrize("number", [500, 502, 504])
def test_a_push_that_is_refused_again_and_again(number: int) -> None:
    (finding,) = refused(status(number)).confirmed
    assert finding.cause.value == "registry_error"
    assert finding.target is not None and finding.target.reason == str(number)
    assert {one.kind for one in finding.evidence} == {Kind.LOG, Kind.PROCESS_STATE}


@pytest.mark.parametrize("number", [500, 502, 504])
def test_under_parallel_uploads_it_is_too_much_for_the_registry(number: int) -> None:
    (finding,) = refused(status(number), uploads=3).confirmed
    assert finding.cause.value == "registry_overloaded"
    assert finding.target is not None and finding.target.reason == str(number)
    assert any("3 uploads" in one.text for one in finding.evidence)


def test_one_layer_that_is_refused_beside_another_that_is_taken_is_no_sign_of_too_much() -> None:
    pushing = Pushing()
    pushing.client()
    for _ in range(3):
        pushing.upload(count=2)
        pushing.says(f"Upload failed, retrying: {status(500)}")
        pushing.tick(5)
    assert pushing.causes == ["registry_error"]


@pytest.mark.parametrize("error", ["toomanyrequests", status(503)])
def test_an_answer_that_says_itself_that_it_is_too_much(error: str) -> None:
    assert refused(error).causes == ["registry_overloaded"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(HTML, "ingress_404"), ("blob upload unknown", "upload_unknown"), (status(502), "502")],
)
def test_a_refusal_that_is_not_tried_again_is_told_at_once(error: str, reason: str) -> None:
    pushing = refused(error, times=1, final=True)
    pushing.leave(pushing.clients[0])
    pushing.tick()
    (finding,) = pushing.confirmed
    assert finding.cause.value == "registry_error"
    assert finding.target is not None and finding.target.reason == reason
    assert "gone since" in finding.evidence[-1].text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[ERROR] [/lib/http/error.go:57]: pq: sorry, too many clients already", "database"),
        ("s3aws: SlowDown: Please reduce your request rate status code: 503", "storage"),
    ],
)
def test_the_reason_is_what_the_registrys_own_log_says_where_it_is_followed(line: str, reason: str) -> None:
    pushing = Pushing()
    pushing.client()
    pushing.tick()
    pushing.says(line, source="harbor")
    for _ in range(2):
        pushing.says(f"Upload failed, retrying: {status(500)}")
        pushing.tick(5)
    assert [one.target.reason for one in pushing.confirmed if one.target] == [reason]


@pytest.mark.parametrize(("number", "words"), [(413, "client_max_body_size"), (400, "REGISTRY_HTTP_HOST")])
def test_a_proxys_own_refusal_comes_with_its_directive(number: int, words: str) -> None:
    error = f"error parsing HTTP {number} response body: invalid character '<' looking for beginning of value"
    (finding,) = refused(error, times=1, final=True).confirmed
    assert finding.target is not None and finding.target.reason == str(number)
    assert any(words in one for one in finding.advice)


def test_one_refusal_that_is_tried_again_with_success_is_weather() -> None:
    pushing = refused(status(502), times=1)
    pushing.upload()
    pushing.tick(10)
    assert pushing.confirmed == []


def test_four_layers_that_are_refused_once_together_are_weather() -> None:
    assert refused(status(500), times=1, uploads=4).confirmed == []


def test_a_refusal_is_over_when_no_other_has_followed() -> None:
    pushing = refused(status(502))
    pushing.request(rate=1 * MB)
    pushing.tick(130)
    assert pushing.findings == []


@pytest.mark.parametrize(
    "error",
    [
        "unauthorized: authentication required",
        "denied: requested access to the resource is denied",
        "context canceled",
        "Get https://localhost:5000/v2/: http: server gave HTTP response to HTTPS client",
    ],
)
def test_a_refusal_for_another_reason_is_no_error_of_the_registry(error: str) -> None:
    assert refused(error, times=4, uploads=2, final=True).confirmed == []


def test_a_line_alone_confirms_nothing() -> None:
    pushing = Pushing()
    for _ in range(3):
        pushing.says(f"Upload failed, retrying: {status(502)}")
        pushing.tick()
    assert pushing.findings == []


def test_of_two_registries_the_one_that_the_line_names_is_told() -> None:
    pushing = Pushing()
    pushing.client()
    pushing.client("harbor.example.com/project/app:1")
    for _ in range(2):
        pushing.says(f"Upload failed, retrying: {status(502)}")
        pushing.tick(5)
    assert pushing.findings == [], "it names none"
    for _ in range(2):
        pushing.says(f"Upload failed, retrying: https://harbor.example.com/v2/: {status(502)}")
        pushing.tick(5)
    assert [one.target.endpoint for one in pushing.confirmed if one.target] == ["harbor.example.com"]


@pytest.mark.parametrize(("image", "told"), [(IMAGE, ["registry_error"]), ("ubuntu", [])])
def test_of_a_pull_too_but_docker_io_has_mirrors(image: str, told: Optional[list[str]]) -> None:
    pushing = Pushing()
    pushing.client(image, verb="pull")
    pushing.tick()
    for attempt in (1, 2):
        pushing.says(f"Download failed, retrying ({attempt}/5): {status(502)}")
        pushing.tick(5)
    assert pushing.causes == told


# --- push_retry_loop -----------------------------------------------------------------------------


def test_a_layer_that_is_sent_again_and_again() -> None:
    pushing = refused(BROKEN, times=3)
    (finding,) = pushing.confirmed
    assert finding.cause.value == "push_retry_loop"
    assert {one.kind for one in finding.evidence} == {Kind.LOG, Kind.PROCESS_STATE, Kind.SOCKET}
    assert any("readTimeout" in one for one in finding.advice)


@pytest.mark.parametrize(("times", "uploads"), [(2, 1), (1, 5)])
def test_two_cuts_and_cuts_of_many_layers_at_once_are_weather(times: int, uploads: int) -> None:
    assert refused(BROKEN, times=times, uploads=uploads).confirmed == []
