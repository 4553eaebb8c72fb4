"""Many lines -> what went wrong: five stories with their remedies, and days on which nothing did."""

from __future__ import annotations

from pathlib import Path
from typing import Iterable, List

import pytest

from watchdog.core.story import MAX_EPISODES, Incident, Story, Told
from watchdog.core.symptom import LogClock, classify, parse

LOGS = Path(__file__).resolve().parents[1] / "fixtures" / "logs"
NOON_NS = 1_700_000_000 * 1_000_000_000


def tell(lines: Iterable[str]) -> Told:
    story, last_ns, clock = Story(), None, LogClock(NOON_NS)
    for number, line in enumerate(lines, start=1):
        story.add(number, line, classify(line, clock))
        last_ns = parse(line, clock).wall_ns or last_ns
    return story.told(last_ns)


def tell_file(*names: str) -> Told:
    return tell([line for name in names for line in (LOGS / name).read_text(encoding="utf-8").splitlines()])


def causes(told: Told) -> List[str]:
    return [
        one.diagnosis.cause + (f"/{one.diagnosis.reason}" if one.diagnosis.reason else "")
        for one in told.incidents
    ]


def text_of(incident: Incident) -> str:
    """All that people are told about it."""
    advice = incident.diagnosis.advice
    told = [advice.headline, advice.likely, *advice.here, *advice.never]
    return " ".join(told + [f"{one.whom}: {one.what}" for one in advice.elsewhere])


def docker(clock: str, message: str, level: str = "error") -> str:
    return f'time="2024-05-01T{clock}.000000000Z" level={level} msg="{message}"'


# --- the five stories ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cause", "right", "wrong"),
    [
        (
            "s0/cache.log",
            "size_limit/temp_file",
            ["`proxy_max_temp_file_size 0;`", "1,091,061,683 bytes", "proxy_read_timeout 900s", "206"],
            ["Do not restart the load balancer"],
        ),
        ("s0/balancer.log", "size_limit/temp_file", ["proxy_buffering off", "readv()"], []),
        ("s0/dockerd.log", "range_unsupported", ["registry-mirrors", "SIGHUP", "4 of 5", "cold cache"], []),
        (
            "s1/dockerd.log",
            "decompressor_blocked",
            ["kill -CONT", "MOBY_DISABLE_PIGZ=true", "Do not kill the pulling client", "29 minutes"],
            ["MOBY_DISABLE_PIGZ=1 "],
        ),
        ("s1/kubelet.log", "decompressor_blocked", ["unpigz", "hub.example.lan/arm64/portal:3.2"], []),
        ("s1/terminal.log", "decompressor_blocked", ["unpigz"], []),
        (
            "s2/quota.log",
            "push_commit_stalled/quota_lock",
            ["switchquota", '{"quota_per_project_enable":false}', "QUOTA_UPDATE_PROVIDER=redis"],
            [],
        ),
        ("s2/database.log", "registry_error/database", ["maxOpenConns", "max_connections"], []),
        ("s2/storage.log", "registry_error/storage", ["storage.s3.chunksize", "request limits"], []),
        ("s2/ingress.log", "registry_error/ingress_404", ["Www-Authenticate", "PodDisruptionBudget"], []),
        (
            "s3/dfdaemon.log",
            "p2p_supernode_unreachable/v1",
            ["/etc/dragonfly.conf", "address=IP", "/etc/dragonfly/dfget.yml", "docker restart", "8002"],
            ["dfdaemon.yaml"],
        ),
        ("s3/dockerd.log", "registry_error", ["127.0.0.1:65001", "502 (2 times)"], []),
        (
            "s4/rust.log",
            "p2p_piece_timeout/v2_rust",
            ["pieceTimeout: 600s", "seedClient.config.download.pieceTimeout=600s", "30 s after their start"],
            ["pieceDownloadTimeout: 600s"],
        ),
        ("s4/rust_colours.log", "p2p_piece_timeout/v2_rust", ["/etc/dragonfly/dfdaemon.yaml"], []),
        (
            "s4/go.log",
            "p2p_piece_timeout/v2_go",
            ["pieceDownloadTimeout: 600s", "/etc/dragonfly/dfget.yaml", "dfget-daemon"],
            ["pieceTimeout: 600s"],
        ),
    ],
)  # fmt: skip
def test_a_story_is_named_with_its_remedy(name, cause, right, wrong):
    told = tell_file(name)
    assert causes(told) == [cause]
    text = text_of(told.incidents[0])
    assert [part for part in right if part not in text] == []
    assert [part for part in wrong if part in text] == []
    assert told.incidents[0].lines


@pytest.mark.parametrize("path", sorted((LOGS / "healthy").iterdir()), ids=lambda path: path.stem)
def test_a_healthy_day_of_the_same_product_tells_nothing(path):
    told = tell_file(f"healthy/{path.name}")
    assert told.incidents == ()


def test_no_advice_keeps_a_name_to_fill_in():
    for path in sorted(LOGS.glob("s*/*.log")):
        for incident in tell_file(f"{path.parent.name}/{path.name}").incidents:
            for name in ("{evidence}", "{device}", "{parameter}", "{addresses}"):
                assert name not in text_of(incident)


def test_all_logs_of_one_failure_are_one_story():
    """Balancer, cache and node tell of the same cut; one incident, with the best witness's cause."""
    assert causes(tell_file("s0/balancer.log", "s0/cache.log", "s0/dockerd.log")) == ["size_limit/temp_file"]
    assert causes(tell_file("s3/dfdaemon.log", "s3/dockerd.log")) == ["p2p_supernode_unreachable/v1"]


# --- what attempts have in common -------------------------------------------------------------


def attempts(*clocks: str) -> List[str]:
    return [
        docker(clock, f"Download failed, retrying ({n}/5): unexpected EOF", "info")
        for n, clock in enumerate(clocks, 1)
    ]


def test_attempts_that_last_equally_long_met_a_time_limit():
    """60 s each, and dockerd's own delay of 5, 10, 15 s between them."""
    told = tell(attempts("02:00:00", "02:01:05", "02:02:15", "02:03:30"))
    assert causes(told) == ["time_limit/total_time"]
    assert "entryPoints.<name>.transport.respondingTimeouts.readTimeout" in text_of(told.incidents[0])


def cut_body(minute: int, size_bytes: int) -> str:
    return (
        f'time="2024-05-01T02:{minute:02}:00Z" level=error msg="response completed with error" '
        'go.version=go1.16 http.request.method=GET http.request.uri="/v2/a/blobs/sha256:1" '
        f"http.response.duration={minute}m1s http.response.status=500 http.response.written={size_bytes}"
    )


def test_bodies_that_end_at_the_same_size_met_a_size_limit():
    told = tell([cut_body(1, 524_288_000), cut_body(3, 524_300_000), cut_body(8, 524_288_000)])
    assert causes(told) == ["size_limit"]
    assert "time limit on the way" not in text_of(told.incidents[0])


def test_bodies_that_do_not_are_a_loop_of_resets():
    told = tell([cut_body(1, 524_288_000), cut_body(3, 24_300_000), cut_body(8, 824_288_000)])
    assert causes(told) == ["reset_loop"]


def test_attempts_that_do_not_are_a_loop_of_resets():
    told = tell(attempts("02:00:00", "02:01:05", "02:05:15", "02:05:50"))
    assert causes(told) == ["reset_loop"]


def test_one_reset_is_one_reset():
    assert causes(tell(attempts("02:00:00"))) == ["net_reset"]


def test_pieces_that_fail_at_no_time_out_are_not_blamed_on_it():
    log = (LOGS / "s4/rust.log").read_text(encoding="utf-8")
    for failed_at in ("11:13:44.964", "11:13:45.101"):
        log = log.replace(failed_at, "11:13:21" + failed_at[8:])
    told = tell(line for line in log.splitlines() if "TimedOut" not in line and "Elapsed" not in line)
    assert causes(told) == ["mirror_failing/source_cut"]


# --- what belongs together, and what does not ---------------------------------------------------


def test_consequences_belong_to_their_cause():
    told = tell(
        [
            docker(
                "02:00:00",
                "Handler for POST returned error: received unexpected HTTP status: 500 Internal Server Error",
            ),
            "2024-05-01 02:00:01 UTC [1] ERROR: pq: sorry, too many clients already",
        ]
    )
    assert causes(told) == ["registry_error/database"]
    assert told.incidents[0].count == 2


def test_the_same_again_hours_later_is_another_incident():
    told = tell(
        [
            docker("02:00:00", "write x: no space left on device"),
            docker("05:00:00", "write x: no space left on device"),
        ]
    )
    assert causes(told) == ["disk_full", "disk_full"]


def test_the_same_again_at_once_is_not():
    told = tell([docker(f"02:00:{second:02}", "write x: no space left on device") for second in range(60)])
    assert causes(told) == ["disk_full"]
    assert (told.incidents[0].count, len(told.incidents[0].lines)) == (60, 4)


def test_a_cancellation_alone_is_remarked_not_alarmed():
    told = tell([docker("02:00:00", "Not continuing with pull after error: context canceled")])
    assert told.incidents == ()
    assert "cancelled once" in told.notes[0]


def test_a_mirror_without_the_image_is_remarked_not_alarmed():
    told = tell(
        [
            docker(
                "02:00:00",
                "Attempting next endpoint for pull after error: manifest unknown: manifest unknown",
                "info",
            )
        ]
    )
    assert told.incidents == ()
    assert "that is how mirrors work" in told.notes[0]


def test_a_retry_without_a_cause_is_told_when_nothing_else_is():
    line = 'E0510 pod_workers.go:191] Back-off pulling image "hub.example.lan/a:1"'
    assert causes(tell([line])) == ["retry_unspecified"]
    assert causes(tell([line, docker("02:00:00", "write x: no space left on device")])) == ["disk_full"]


# --- extractions ---------------------------------------------------------------------------------

BEGAN = docker("02:00:00", "Applying tar in /var/lib/docker/overlay2/" + "ab" * 32 + "/diff", "debug")
ENDED = docker("02:08:00", "Applied tar sha256:" + "cd" * 32 + " to " + "ab" * 32 + ", size: 1", "debug")


def test_an_extraction_that_never_ends_stands_still():
    assert causes(tell([BEGAN, docker("02:30:00", "Calling GET /_ping", "debug")])) == [
        "decompressor_blocked"
    ]


def test_an_extraction_that_ends_does_not():
    assert tell([BEGAN, ENDED, docker("02:30:00", "Calling GET /_ping", "debug")]).incidents == ()


def test_nor_one_that_began_a_moment_ago():
    assert tell([BEGAN, docker("02:06:00", "Calling GET /_ping", "debug")]).incidents == ()


def test_a_killed_decompressor_is_no_hang():
    told = tell([docker("02:00:00", "Error processing tar file(signal: killed): ")])
    assert causes(told) == ["decompress/aborted"]


# --- clocks and bounds -----------------------------------------------------------------------------


def test_a_clock_that_goes_back_is_remarked():
    told = tell(
        [docker("09:00:00", "write x: no space left on device"), docker("02:00:00", "Calling GET /_ping")]
    )
    assert causes(told) == ["disk_full"]
    assert any("goes back by 420 minutes" in note for note in told.notes)


def test_a_log_without_times_is_told_all_the_same():
    told = tell(["write x: no space left on device", "Download failed, retrying: unexpected EOF"])
    assert causes(told) == ["disk_full", "net_reset"]
    assert told.incidents[0].first_ns is None


def test_incidents_stand_in_the_order_of_their_first_lines():
    told = tell(
        [
            docker("02:00:00", "dial tcp 10.0.0.9:5000: connect: connection refused"),
            docker("02:00:01", "x509: certificate has expired"),
        ]
    )
    assert causes(told) == ["net_refused", "tls"]


def test_a_story_stays_small_however_long_the_log():
    story = Story()
    for number in range(1, 3000):
        day, hour = divmod(number, 24)
        stamp = f"20{10 + day // 336:02}-{1 + day // 28 % 12:02}-{1 + day % 28:02}T{hour:02}:00:00Z"
        line = f'time="{stamp}" level=error msg="write {number}: no space left on device"' + "x" * 1000
        story.add(number, line, classify(line))
        began = f'time="{stamp}" level=debug msg="Applying tar in /d/overlay2/{number:064x}/diff"'
        story.add(number, began, classify(began))
    told = story.told()
    assert len(told.incidents) <= MAX_EPISODES + 1
    assert sum(one.count for one in told.incidents) >= 2999
    assert all(len(line.text) <= 600 for one in told.incidents for line in one.lines)
