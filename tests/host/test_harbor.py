"""host/harbor against a stand-in that answers as Harbor does."""

from __future__ import annotations

import socket
import threading
import time
from typing import Iterator

import pytest

from tests.lab.harbor import DEFAULT_BACKEND_404, Harbor, harbor
from watchdog.core.observation import HarborSeen
from watchdog.errors import Unavailable
from watchdog.host.harbor import look, unhealthy


@pytest.fixture
def server() -> Iterator[Harbor]:
    with harbor() as one:
        yield one


def test_a_harbor_that_is_well(server: Harbor) -> None:
    assert look(server.url) == HarborSeen(server.url, 200)


def test_the_components_that_are_not(server: Harbor) -> None:
    server.manner.sick = ("database", "registry")
    seen = look(server.url)
    assert [one.partition(":")[0] for one in seen.unhealthy] == ["registry", "database"]
    assert "connection refused" in seen.unhealthy[1]


def test_credentials_in_an_error_stay_there() -> None:
    sick = {
        "name": "database",
        "status": "unhealthy",
        "error": "dial postgres://harbor:secret@db:5432 failed",
    }
    assert unhealthy([sick, "nonsense", {}]) == (
        "database: dial postgres://[redacted]@db:5432 failed",
        "None: None",
    )


def test_a_version_that_is_told_and_one_that_only_the_api_tells(server: Harbor) -> None:
    server.manner.version = "v2.5.1-bd2a1f0e"
    assert look(server.url).version == "2.5.1-bd2a1f0e"
    server.manner.version, server.manner.old = "", True
    assert look(server.url).version == "1"


def test_an_ingress_without_a_backend_is_an_answer(server: Harbor) -> None:
    server.manner.ingress_404 = DEFAULT_BACKEND_404
    assert look(server.url) == HarborSeen(server.url, 404)


def test_nothing_but_two_questions_is_asked(server: Harbor) -> None:
    look(server.url)
    assert server.manner.asked == ["/api/v2.0/health", "/api/v2.0/systeminfo"]


def test_one_that_says_nothing_costs_the_deadline(server: Harbor) -> None:
    server.manner.stalls = True
    began = time.monotonic()
    with pytest.raises(Unavailable, match="cannot be asked"):
        look(server.url, deadline_s=0.5)
    assert time.monotonic() - began < 3.0


def test_one_that_drips_costs_the_deadline_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=_drip, args=(listening,), daemon=True)
        dripping.start()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            look(f"http://127.0.0.1:{listening.getsockname()[1]}", deadline_s=0.5)
        assert time.monotonic() - began < 3.0
    dripping.join(10.0)


def _drip(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection:
        try:
            for _ in range(100):
                connection.sendall(b"H")
                time.sleep(0.1)
        except OSError:
            pass  # it has left


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(Unavailable, match="refused"):
        look(url)
