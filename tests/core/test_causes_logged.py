"""What a log line names and people mend: an incident only where something else agrees with it."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional

import pytest

from tests.core.scene import Scene
from watchdog.core.observation import LogLine, TcpEvent

IMAGE = "hub.example/team/app:1"
OTHER = "hub.example/team/other:2"
ERROR = 'level=error msg="Handler for POST /v1.41/images/create returned error: {}"'
LATE = 'level=error msg="Not continuing with pull after error: {}"'
LINES = {
    "rate_limited": LATE.format("toomanyrequests: You have reached your pull rate limit."),
    "auth": ERROR.format(
        "Get https://hub.example/v2/team/app/manifests/1: unauthorized: authentication required"
    ),
    "not_found": ERROR.format(f"manifest for {IMAGE} not found: manifest unknown: manifest unknown"),
    "dns": ERROR.format("Get https://hub.example/v2/: dial tcp: lookup hub.example: no such host"),
    "tls": ERROR.format("Get https://hub.example/v2/: x509: certificate signed by unknown authority"),
    "disk_full": LATE.format("write /var/lib/docker/tmp/GetImageBlob7: no space left on device"),
    "integrity": LATE.format("filesystem layer verification failed for digest sha256:" + "ab" * 32),
}
AT_ONCE = ("rate_limited", "disk_full", "integrity")
MINUTE = 60


def fail(scene: Scene, *lines: str, image: str = IMAGE, source: str = "docker") -> None:
    """A `docker pull` that ends with these lines in the log, and then a minute of quiet."""
    client = scene.client(image)
    scene.tick(2)
    scene.news += [LogLine(source, line) for line in lines]
    scene.tick()
    scene.leave(client)
    scene.tick(MINUTE)


def only_say(scene: Scene, *lines: str, source: str = "docker") -> None:
    """Lines, and a minute in which nothing else happens."""
    scene.news += [LogLine(source, line) for line in lines]
    scene.tick(MINUTE)


def talk(scene: Scene, pid: Optional[int] = None) -> None:
    """A connection of the runtime's ends now."""
    owner = scene.daemon.key.pid if pid is None else pid
    scene.news.append(TcpEvent(scene.now_ns, "state", owner, 7, 40000, 443, "10.0.0.9", 1, 8))


def causes(scene: Scene) -> List[str]:
    return [one["cause"] for one in scene.incidents]


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.tick(2)
    return scene


@pytest.mark.parametrize("cause", LINES)
def test_a_line_alone_is_no_incident_however_often_it_comes(scene: Scene, cause: str) -> None:
    for _ in range(5):
        only_say(scene, LINES[cause])
    assert causes(scene) == []


@pytest.mark.parametrize("cause", LINES)
def test_pulls_that_fail_with_the_line_are_told_with_whose_turn_it_is(scene: Scene, cause: str) -> None:
    for _ in range(3):
        fail(scene, LINES[cause])
    assert causes(scene) == [cause]
    kinds = {one["kind"] for one in scene.incident["evidence"]}
    assert kinds == {"log", "process_state"}
    assert scene.incident["advice"]
    assert scene.decided == []  # never retried


@pytest.mark.parametrize("cause", AT_ONCE)
def test_what_nobody_can_mistype_is_told_at_once(scene: Scene, cause: str) -> None:
    fail(scene, LINES[cause])
    assert causes(scene) == [cause]


@pytest.mark.parametrize("cause", sorted(set(LINES) - set(AT_ONCE)))
def test_a_persons_failed_pull_is_that_persons(scene: Scene, cause: str) -> None:
    fail(scene, LINES[cause])
    assert causes(scene) == []


def test_the_lines_of_one_failure_are_one_failure(scene: Scene) -> None:
    fail(scene, *[LINES["not_found"]] * 5)
    assert causes(scene) == []


def test_a_pull_that_gets_its_image_all_the_same_has_not_failed(scene: Scene) -> None:
    client = scene.client(IMAGE)
    scene.tick(2)
    scene.news.append(LogLine("docker", LINES["rate_limited"]))
    scene.tick(2)
    scene.arrive(IMAGE)
    scene.leave(client)
    scene.tick(MINUTE)
    assert causes(scene) == []


def test_a_client_that_leaves_minutes_later_says_nothing_about_the_line(scene: Scene) -> None:
    client = scene.client(IMAGE)
    scene.tick(2)
    only_say(scene, LINES["rate_limited"])
    scene.leave(client)
    scene.tick(MINUTE)
    assert causes(scene) == []


def test_where_nobody_pulls_by_hand_the_runtimes_connection_agrees(scene: Scene) -> None:
    talk(scene)
    only_say(scene, LINES["rate_limited"])
    assert causes(scene) == ["rate_limited"]
    assert {one["kind"] for one in scene.incident["evidence"]} == {"log", "kernel_event"}


def test_a_connection_of_another_process_or_of_another_time_does_not(scene: Scene) -> None:
    talk(scene)
    scene.tick(MINUTE)
    talk(scene, pid=4242)
    only_say(scene, LINES["rate_limited"])
    assert causes(scene) == []


def test_a_connection_says_nothing_about_a_name_that_was_not_found_or_a_full_disk(scene: Scene) -> None:
    for cause in ("dns", "disk_full"):
        for _ in range(3):
            talk(scene)
            only_say(scene, LINES[cause])
    assert causes(scene) == []


def test_a_line_before_the_next_endpoint_is_asked_counts_for_nothing(scene: Scene) -> None:
    line = 'level=info msg="Attempting next endpoint for pull after error: toomanyrequests: pull rate limit"'
    fail(scene, line)
    assert causes(scene) == []


def test_a_full_disk_is_full_for_every_endpoint(scene: Scene) -> None:
    words = "failed to register layer: Error processing tar file: write /x: no space left on device"
    fail(scene, f'level=info msg="Attempting next endpoint for pull after error: {words}"')
    assert causes(scene) == ["disk_full"]


def test_the_same_again_within_the_hour_is_the_same_incident(scene: Scene) -> None:
    for _ in range(10):
        fail(scene, LINES["rate_limited"])
    assert scene.story == ["confirmed"]


def test_the_kubelets_word_for_it_is_the_same_incident(scene: Scene) -> None:
    said = f'E0101 00:00:00.000000 1 x.go:1] "Failed to pull image" err="{{}}" image="{IMAGE}"'
    for _ in range(3):
        fail(scene, LINES["not_found"])
        only_say(scene, said.format("manifest unknown: manifest unknown"), source="kubelet")
    assert causes(scene) == ["not_found"]


def test_a_resolver_that_does_not_answer_is_one_incident_for_all_names(scene: Scene) -> None:
    line = "Get https://{0}.example/v2/: dial tcp: lookup {0}.example on 10.0.0.2:53: read udp: i/o timeout"
    for name in ("one", "two", "three"):
        fail(scene, ERROR.format(line.format(name)), image=f"{name}.example/a:1")
    assert [(one["cause"], one["target"]["endpoint"]) for one in scene.incidents] == [("dns", "resolver")]


def test_three_names_that_are_not_known_are_three_mistakes(scene: Scene) -> None:
    for name in ("one", "two", "three"):
        fail(scene, LINES["dns"].replace("hub", name), image=f"{name}.example/a:1")
    assert causes(scene) == []


def test_what_a_registry_on_this_node_tells_others_is_nothing_to_its_runtime(scene: Scene) -> None:
    line = (
        'level=error msg="response completed with error" err.code="manifest unknown" http.request.method=GET '
    )
    line += "http.request.uri=/v2/team/app/manifests/1 http.response.status=404"
    for _ in range(5):
        talk(scene)
        only_say(scene, line, source="registry")
    assert causes(scene) == []


def test_the_kubelet_is_believed_where_a_connection_agrees(scene: Scene) -> None:
    line = f'E0101 00:00:00.000000 1 x.go:1] "Failed to pull image" err="manifest unknown" image="{IMAGE}"'
    for _ in range(3):
        talk(scene)
        only_say(scene, line, source="kubelet")
    assert causes(scene) == ["not_found"]


def test_two_images_that_are_missing_are_two_incidents(scene: Scene) -> None:
    for _ in range(3):
        fail(scene, LINES["not_found"])
        fail(scene, LINES["not_found"].replace(IMAGE, OTHER), image=OTHER)
    assert causes(scene) == ["not_found", "not_found"]


@pytest.mark.parametrize(
    ("cause", "came"), [("rate_limited", OTHER), ("not_found", IMAGE), ("disk_full", "a.example/b:1")]
)
def test_it_is_over_when_what_failed_works_again(scene: Scene, cause: str, came: str) -> None:
    for _ in range(3):
        fail(scene, LINES[cause])
    scene.arrive(came)
    scene.tick(10)
    assert scene.story == ["confirmed", "cleared"]


def test_another_image_does_not_bring_the_missing_one(scene: Scene) -> None:
    for _ in range(3):
        fail(scene, LINES["not_found"])
    scene.arrive(OTHER)
    scene.tick(10)
    assert scene.story == ["confirmed"]


def test_it_is_over_after_an_hour_without_it(scene: Scene) -> None:
    fail(scene, LINES["rate_limited"])
    scene.tick(59)
    assert scene.story == ["confirmed"]
    scene.tick(800, seconds=5)
    assert scene.story == ["confirmed", "cleared"]


def test_what_agreed_once_is_not_forgotten_on_a_busy_node(scene: Scene) -> None:
    fail(scene, LINES["rate_limited"])
    for _ in range(60):
        for _ in range(20):
            talk(scene)
        scene.leave(scene.client(OTHER, verb="other"))
        scene.client(OTHER, verb="other")
        scene.tick()
        scene.clients.clear()
    assert scene.story == ["confirmed"]


def test_it_has_the_same_name_before_and_after_its_client_is_seen_to_leave(scene: Scene) -> None:
    client = scene.client(IMAGE)
    scene.tick(2)
    talk(scene)
    scene.news.append(LogLine("docker", LINES["rate_limited"]))
    scene.tick(5)
    scene.leave(client)
    scene.tick(MINUTE)
    assert scene.story == ["confirmed"]
    assert scene.incident["target"]["endpoint"] == "hub.example"


def test_nothing_is_looked_at_oftener_for_it(scene: Scene) -> None:
    fail(scene, LINES["rate_limited"])
    assert not scene.ticks[-1].active


def test_who_pushes_is_heard_as_well(scene: Scene) -> None:
    for _ in range(3):
        client = scene.client(IMAGE, verb="push")
        scene.tick(2)
        scene.news.append(
            LogLine("docker", 'level=error msg="Upload failed: unauthorized: authentication required"')
        )
        scene.leave(client)
        scene.tick(MINUTE)
    assert causes(scene) == ["auth"]


def test_a_full_disk_that_is_seen_agrees_with_the_line(scene: Scene) -> None:
    seen = scene.engine.world.runtimes["docker"]
    scene.news.append(replace(seen, data_root_full=True))
    scene.tick(2)
    only_say(scene, LINES["disk_full"])
    assert causes(scene) == ["disk_full"]
    assert {one["kind"] for one in scene.incident["evidence"]} == {"log", "counters"}


def test_an_open_incident_of_an_agent_before_ends_where_nothing_is_heard_of_it(scene: Scene) -> None:
    fail(scene, LINES["rate_limited"])
    name = scene.incident["id"]
    scene.restart_agent()
    scene.tick(10)
    assert [(one["id"], one["state"]) for one in scene.incidents] == [(name, "cleared")]
