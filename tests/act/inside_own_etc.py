"""Run by test_route_around.py in a mount namespace of its own, where /etc is a copy."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.agent import Agent
from tests.lab.conftest import _lab_is_possible  # noqa: F401  (a fixture)
from tests.lab.images import MB, SMALL, build
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.proxy import Ending, FaultProxy, Rule
from watchdog.act.hosts_file import MARK

HOST = "registry.example"
HOSTS = Path("/etc/hosts")
NAME_SERVER = "127.83.0.1"
BAD_WAY = "127.83.0.2"


@pytest.fixture
def name_server() -> Iterator[None]:
    """Knows one name, and gives it the address of the bad way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, 53))
        server.settimeout(0.1)
        over = threading.Event()
        thread = threading.Thread(target=serve_names, args=(server, over), daemon=True)
        thread.start()
        Path("/etc/resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
        yield
        over.set()
        thread.join()


def serve_names(server: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        try:
            question, asker = server.recvfrom(512)
        except socket.timeout:
            continue
        end = question.index(b"\0", 12) + 1
        known = question[12:end] == b"\x08registry\x07example\0" and question[end : end + 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(BAD_WAY) if known else b""
        head = question[:2] + b"\x84\0" + struct.pack(">HHHH", 1, 1 if known else 0, 0, 0)
        server.sendto(head + question[12 : end + 4] + answer, asker)


def relay(port: int, upstream_port: int, over: threading.Event) -> None:
    """The bad way, at an address of its own but the registry's port."""
    with socket.create_server((BAD_WAY, port)) as listener:
        listener.settimeout(0.1)
        while not over.is_set():
            try:
                client, _ = listener.accept()
            except socket.timeout:
                continue
            upstream = socket.create_connection(("127.0.0.1", upstream_port))
            for one, other in ((client, upstream), (upstream, client)):
                threading.Thread(target=copy, args=(one, other), daemon=True).start()


def copy(one: socket.socket, other: socket.socket) -> None:
    try:
        while chunk := one.recv(65536):
            other.sendall(chunk)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        one.close()
        other.close()


def test_a_pull_that_is_cut_on_one_way_completes_on_the_other(
    _lab_is_possible: None,  # noqa: F811
    name_server: None,
) -> None:
    before = HOSTS.read_bytes()
    with Lab(("--insecure-registry", "127.0.0.0/8")) as lab, FaultProxy(lab) as proxy:
        over, registry = threading.Event(), f"{HOST}:{lab.registry.port}"
        way = threading.Thread(target=relay, args=(lab.registry.port, proxy.port, over), daemon=True)
        way.start()
        lab.registry.publish(SMALL)
        proxy.rule(Rule(size_at_least=MB, ending=Ending.CLOSE, after_bytes=3 * MB))
        routes = [{"registry": registry, "alternative": "http://127.0.0.1"}]
        with Agent(lab, routes=routes, remedies={"route_around": True}) as agent:
            pull = lab.client("pull", f"{registry}/{SMALL.repository}:1")
            wait_until(lambda: MARK in HOSTS.read_text(), "the name leads another way", 90.0)
            incident = agent.incidents()[0]
            assert pull.wait(90.0) == 0, pull.output
            agent.incident(incident["cause"], "recovered", deadline_s=30.0)
            assert [one["name"] for one in agent.incidents()[0]["actions"]] == ["route_around"]
            agent.command("revert", "route_around")
        assert proxy.layers(SMALL), "it went the bad way at first"
        answered = [one.status for one in lab.registry.accesses(build(SMALL).layers[0].digest)]
        assert 206 in answered, "the rest came by a range"
        over.set()
        way.join()
    assert HOSTS.read_bytes() == before
