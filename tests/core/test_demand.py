"""core/demand: who waits for downloads, and for which registries."""

from __future__ import annotations

from typing import Optional

import pytest

from watchdog.core.demand import Arrivals
from watchdog.core.observation import Client, ClientScan, Frame, Layer, ManifestSeen, Observation, ProcessKey
from watchdog.core.policy import SECOND_NS
from watchdog.core.world import World

DIGEST = "sha256:" + "a" * 64


def client(
    pid: int, image: str = "localhost:5000/big:1", verb: str = "pull", up: Optional[bool] = True
) -> Client:
    return Client(ProcessKey(pid, 1), verb, image, connected=up)


def world_at(seconds: int, world: World, *seen: Observation) -> World:
    world.apply(Frame(seconds * SECOND_NS, seen))
    return world


def test_a_client_waits_since_it_was_first_seen() -> None:
    arrivals, world = Arrivals(), World()
    world_at(10, world, ClientScan("docker", (client(1),)))
    arrivals.demand(world, "docker")
    world_at(15, world, ClientScan("docker", (client(1), client(2))))
    demand = arrivals.demand(world, "docker")
    assert {one.client.key.pid: one.since_ns // SECOND_NS for one in demand.waiting} == {1: 10, 2: 15}
    assert demand.since_ns == 10 * SECOND_NS


def test_one_that_left_and_came_again_waits_anew() -> None:
    arrivals, world = Arrivals(), World()
    for seconds, clients in ((10, (client(1),)), (11, ()), (12, (client(1),))):
        world_at(seconds, world, ClientScan("docker", clients))
        demand = arrivals.demand(world, "docker")
    assert demand.since_ns == 12 * SECOND_NS


def test_clients_of_two_runtimes_do_not_disturb_each_other() -> None:
    arrivals, world = Arrivals(), World()
    world_at(10, world, ClientScan("docker", (client(1),)), ClientScan("other", (client(2),)))
    arrivals.demand(world, "docker")
    arrivals.demand(world, "other")
    world_at(20, world)
    assert arrivals.demand(world, "docker").since_ns == 10 * SECOND_NS
    assert [one.client.key.pid for one in arrivals.demand(world, "other").waiting] == [2]


def test_those_that_left_load_or_push_do_not_wait_for_downloads() -> None:
    world = world_at(
        10,
        World(),
        ClientScan("docker", (client(1, up=False), client(2, verb="load"), client(3, verb="push"))),
    )
    demand = Arrivals().demand(world, "docker")
    assert demand.waiting == () and demand.since_ns is None and demand.pushing


def test_a_push_that_left_is_known_for_a_while() -> None:
    arrivals, world = Arrivals(), World()
    world_at(10, world, ClientScan("docker", (client(3, verb="push"),)))
    arrivals.demand(world, "docker")
    for seconds, known in ((11, True), (39, True), (41, False)):
        world_at(seconds, world, ClientScan("docker", ()))
        demand = arrivals.demand(world, "docker")
        assert not demand.pushing
        assert [(one.since_ns // SECOND_NS, one.client.connected) for one in demand.pushes] == (
            [(10, False)] if known else []
        )


@pytest.mark.parametrize(
    ("image", "ports", "loopback"),
    [
        ("localhost:5000/big:1", {5000}, {5000}),
        ("127.0.0.1:5000/big:1", {5000}, {5000}),
        ("registry.example.com/big:1", {80, 443}, set()),
        ("registry.example.com:8443/big:1", {8443}, set()),
        ("big", {80, 443}, set()),
    ],
)
def test_the_registries_that_the_images_name(image: str, ports: set[int], loopback: set[int]) -> None:
    world = world_at(10, World(), ClientScan("docker", (client(1, image),)))
    demand = Arrivals().demand(world, "docker")
    assert (set(demand.ports), set(demand.loopback_ports)) == (ports, loopback)


def test_layers_are_those_of_the_image_s_own_manifest() -> None:
    mine = ManifestSeen("docker", DIGEST, ("localhost:5000/big",), (Layer("sha256:1", 7),))
    other = ManifestSeen("docker", "sha256:" + "b" * 64, ("localhost:5000/small",), (Layer("sha256:2", 8),))
    world = world_at(
        10, World(), mine, other, ClientScan("docker", (client(1), client(2, "localhost:5000/new:1")))
    )
    known, unknown = Arrivals().demand(world, "docker").waiting
    assert known.layers == frozenset({("sha256:1", 7)}) and unknown.layers is None
