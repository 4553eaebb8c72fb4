"""What the followed logs said: kept by the runtime that it concerns, and bounded."""

from __future__ import annotations

from typing import List

from watchdog.core.observation import (
    Api,
    Client,
    ClientScan,
    Frame,
    Layer,
    LogLine,
    MachineSeen,
    ManifestSeen,
    Observation,
    ProcessKey,
    RuntimeSeen,
    Sight,
)
from watchdog.core.policy import SECOND_NS
from watchdog.core.symptom import SymptomKind
from watchdog.core.told import KEPT
from watchdog.core.world import World

NOON_NS = 1_767_268_800 * SECOND_NS  # 2026-01-01T12:00:00Z
NOW_NS = 5000 * SECOND_NS
RETRY = 'time="{}" level=info msg="Download failed, retrying (2/5): unexpected EOF"'
DIGEST = "sha256:" + "ab" * 32


def world_with(*runtimes: str, seen: List[Observation] = []) -> World:  # noqa: B006  (not changed)
    world = World()
    daemons = [RuntimeSeen(one, "docker", None, None, Api.ANSWERS, Sight.FULL) for one in runtimes]
    world.apply(Frame(NOW_NS, (MachineSeen("boot", NOON_NS, NOW_NS), *daemons, *seen)))
    return world


def hear(world: World, source: str, *lines: str) -> None:
    world.apply(Frame(NOW_NS, tuple(LogLine(source, line) for line in lines)))


def said(world: World, runtime: str) -> List[str]:
    return [one.text for one in world.told.get(runtime, ())]


def test_a_line_with_a_symptom_is_kept_with_what_it_carries() -> None:
    world = world_with("docker")
    hear(world, "docker", RETRY.format("2026-01-01T11:59:58Z"))
    (one,) = world.told["docker"]
    assert (one.source, one.symptom.kind) == ("docker", SymptomKind.NET_RESET)
    assert (one.symptom.attempt, one.symptom.attempts) == (2, 5)
    assert one.at_ns == NOW_NS - 2 * SECOND_NS


def test_a_line_without_a_symptom_is_not_kept() -> None:
    world = world_with("docker")
    hear(world, "docker", 'level=info msg="Loading containers: done."', "", "\0\0")
    assert world.told == {}


def test_a_clock_that_cannot_be_believed_counts_for_nothing() -> None:
    world = world_with("docker")
    hear(world, "docker", *map(RETRY.format, ("2026-01-01T12:30:00Z", "2026-01-01T04:00:00Z", "sometime")))
    assert [one.at_ns for one in world.told["docker"]] == [NOW_NS] * 3


def test_another_log_of_the_node_is_about_its_only_runtime() -> None:
    world = world_with("docker")
    hear(world, "nginx", RETRY.format("2026-01-01T12:00:00Z"))
    assert [one.source for one in world.told["docker"]] == ["nginx"]


def test_of_several_runtimes_it_is_about_the_one_whose_pull_or_layer_it_names() -> None:
    pull = Client(ProcessKey(7, 1), "pull", "harbor.example/team/big:1")
    manifest = ManifestSeen("second", DIGEST, ("harbor.example/x",), (Layer("sha256:" + "cd" * 32, 9),))
    world = world_with("first", "second", seen=[ClientScan("first", (pull,)), manifest])
    line = 'E0101 12:00:00.000000 1 x.go:1] "PullImage failed" err="unexpected EOF" image="{}"'
    by_image, of_neither = line.format("harbor.example/team/big:1"), line.format("other.example/x:1")
    by_layer = f'level=error msg="unexpected EOF" digest="sha256:{"cd" * 32}"'
    hear(world, "kubelet", by_image, by_layer, of_neither)
    assert (said(world, "first"), said(world, "second")) == ([by_image], [by_layer])


def test_a_runtimes_own_log_is_about_no_other() -> None:
    world = world_with("first", "second")
    hear(world, "second", RETRY.format("2026-01-01T12:00:00Z"))
    assert list(world.told) == ["second"]


def test_a_flood_of_one_kind_pushes_out_no_line_of_another() -> None:
    world = world_with("docker")
    rare = 'level=error msg="dial tcp: lookup registry.example: no such host"'
    hear(world, "docker", rare, *(RETRY.format(number) for number in range(3 * KEPT)))
    assert len(world.told["docker"]) == KEPT
    assert said(world, "docker")[0] == rare
    assert said(world, "docker")[-1] == RETRY.format(3 * KEPT - 1)
