"""An incident's record: what people and `act` read, and what the next agent goes on from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.hangs import HANGS
from tests.core.scene import Scene
from watchdog.core.causes.finding import Cause
from watchdog.core.estimate import Estimate
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.incident import ActionTaken, Incident, Owed, State, Verdict
from watchdog.core.limits import Limit, LimitKind
from watchdog.core.observation import (
    BlobSample,
    ConnectionSample,
    Executable,
    Outcome,
    ProcessKey,
    ProcessSample,
)
from watchdog.core.pull import AffectedPull
from watchdog.core.record import from_record, rfc3339, to_record, wall_ns
from watchdog.core.target import Target
from watchdog.errors import RecordingError

MS = 1_000_000
T0 = 1_700_000_000_123 * MS
DIGEST = "sha256:" + "ab" * 32


def process(pid: int, comm: str) -> ProcessSample:
    """As much of a sample as a record keeps."""
    exe = Executable(f"/usr/bin/{comm}", 2049, pid * 3)
    return ProcessSample(ProcessKey(pid, pid * 10), 1, comm, exe, read_bytes=5, written_bytes=0)


OWN = AffectedPull("localhost:5000/big:1", DIGEST, ProcessKey(50, 500), True, "linux/arm64", 460)
SECOND = replace(OWN, client=ProcessKey(51, 510), connected=False)
CARRIED = AffectedPull("localhost:5000/other:2", None, ProcessKey(40, 400), True)
RICH = Incident(
    id="pw-12345678",
    runtime="docker",
    cause=Cause.DECOMPRESSOR_BLOCKED,
    state=State.VERIFYING,
    culprit=process(7, "unpigz"),
    evidence=(Evidence(Kind.PIPE, "its output has room"), Evidence(Kind.COUNTERS, "it stands")),
    opened_wall_ns=T0,
    confirmed_wall_ns=T0 + 8000 * MS,
    command="/usr/local/bin/unpigz",
    stage=(process(6, "sh"), process(7, "unpigz")),
    decompressor=(process(6, "sh"), process(7, "unpigz")),
    daemon=process(2, "dockerd"),
    pulls=(OWN, SECOND),
    certain=True,
    blob=BlobSample("GetImageBlob1", 460, 130),
    acknowledged_wall_ns=T0 + 1 * MS,
    recurrence=2,
    actions=(
        ActionTaken("substitute-1", "substitute_decompressor", T0 + 9000 * MS, Outcome.REFUSED, "no link"),
        ActionTaken("kill-2", "kill_decompressor", T0 + 9500 * MS, Outcome.DONE, "SIGKILL sent"),
        ActionTaken("repull-3", "repull", T0 + 9900 * MS),
    ),
    carried=(CARRIED,),
    owed=(Owed(OWN, False, 3, True), Owed(CARRIED, True, 1)),
    verification=Verdict.INCONCLUSIVE,
    next="wait: the repull is under way",
    subject="2.200/GetImageBlob1",
    target=Target(
        blob=BlobSample("GetImageBlob1", 460, 460),
        connection=ConnectionSample(9, "127.0.0.1:40000", "10.0.0.9:443", 1, 0, 0, cookie=12),
        attempts=5,
        failures=2,
        limit=Limit(LimitKind.GAP, 60_000_000_000, "nginx", "proxy_read_timeout", "two ends alike"),
    ),
    advice=("raise proxy_read_timeout of the nginx in front of the registry",),
    estimate=Estimate(460, 900, 20, 22, "GetImageBlob1"),
)
POOR = Incident(
    "pw-00000000",
    "docker",
    Cause.STORAGE_STALLED,
    State.CONFIRMED,
    ProcessSample(ProcessKey(7, 70), 1, "exe"),
    (),
    opened_wall_ns=T0,
    confirmed_wall_ns=T0,
    hands_off="look at the storage",
)


@pytest.mark.parametrize("incident", [RICH, POOR], ids=["rich", "poor"])
@pytest.mark.parametrize("state", State)
def test_an_incident_survives_its_record(incident, state):
    resolved = None if state in (State.CONFIRMED, State.ACTING, State.VERIFYING) else T0 + 99 * MS
    incident = replace(incident, state=state, resolved_wall_ns=resolved)

    record = json.loads(json.dumps(to_record(incident, "boot-1")))

    assert from_record(record) == incident


def test_looks_are_counted_anew_by_the_next_agent():
    assert from_record(to_record(replace(RICH, looks=7), "boot-1")).looks == 0


def test_an_incident_without_sight_of_its_image_stays_uncertain():
    incident = replace(RICH, certain=False)
    record = to_record(incident, "boot-1")

    assert record["image"] is None
    assert record["images"] == ["localhost:5000/big:1"]
    assert not from_record(record).certain


def test_it_has_what_the_command_line_promises():
    record = to_record(RICH, "boot-1")

    assert record["schema"] == 1
    assert record["boot_id"] == "boot-1"
    assert record["culprit"]["pid"] == 7
    assert record["culprit"]["exe"] == "/usr/bin/unpigz"
    assert record["culprit"]["command"] == "/usr/local/bin/unpigz"
    assert record["opened_at"] == "2023-11-14T22:13:20.123Z"
    assert record["resolved_at"] is None
    assert record["verification"] == "inconclusive"
    assert record["actions"][1]["name"] == "kill_decompressor"
    assert record["actions"][1]["started_at"] == "2023-11-14T22:13:29.623Z"
    assert [one["outcome"] for one in record["actions"]] == ["refused", "done", None]


def test_it_tells_what_a_kill_costs():
    cost = to_record(replace(RICH, target=None), "boot-1")["cost"]

    assert [pull["client_pid"] for pull in cost["pulls"]] == [50, 51, 40]
    assert [pull["carried"] for pull in cost["pulls"]] == [False, False, True]
    assert [pull["owed"] and pull["owed"]["repull"] for pull in cost["pulls"]] == [True, None, False]
    assert cost["layer_bytes"] == 460  # two clients, one image: fetched once
    assert "3 pulls" in cost["text"] and "460 bytes" in cost["text"]


def test_one_pull_of_unknown_size_is_said_as_such():
    cost = to_record(replace(POOR, pulls=(CARRIED,)), "boot-1")["cost"]

    assert cost["layer_bytes"] is None
    assert cost["text"] == "killing the decompressor ends 1 pull"


@pytest.mark.parametrize("kind", HANGS)
def test_every_record_of_a_real_story_is_read_again(kind):
    scene = Scene()
    scene.hang(scene.pull(wrapper=True), kind)
    scene.tick(40)

    for tick in scene.ticks:
        for record in tick.incidents:
            assert to_record(from_record(record), scene.boot_id) == record


@pytest.mark.parametrize("key", sorted(to_record(RICH, "boot-1")))
def test_a_record_that_lacks_something_is_refused_and_nothing_else_happens(key):
    record = to_record(RICH, "boot-1")
    del record[key]

    if key in ("boot_id", "images"):  # told, and not read back
        assert from_record(record) == RICH
    else:
        with pytest.raises(RecordingError):
            from_record(record)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"state": "sleeping"},
        {"cause": "bad_weather"},
        {"verification": "splendid"},
        {"culprit": None},
        {"opened_at": "yesterday"},
        {"opened_at": 17},
        {"evidence": [{"kind": "rumour", "text": "x"}]},
        {"actions": [{}]},
        {"cost": {"pulls": [{}]}},
        {"blob": {"name": "x"}},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_refused(change):
    with pytest.raises(RecordingError):
        from_record({**to_record(RICH, "boot-1"), **change})


@pytest.mark.parametrize("record", [[], None, 3, "x"], ids=str)
def test_what_is_no_record_at_all_is_refused(record):
    with pytest.raises(RecordingError):
        from_record(record)


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_survives_to_the_millisecond(milliseconds):
    text = rfc3339(milliseconds * MS + 999_999)

    assert wall_ns(text) == milliseconds * MS
    assert text.endswith("Z") and len(text) == 24


def test_no_time_is_none():
    assert rfc3339(None) is None
    assert wall_ns(None) is None
