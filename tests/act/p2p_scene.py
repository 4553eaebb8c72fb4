"""A Dragonfly client and an incident about it, for tests that act on it.  No dockerd runs."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional

from tests.act.scene import Scene, sample
from tests.lab.agent import Agent
from tests.lab.dragonfly import Dragonfly
from tests.lab.lab import Lab
from watchdog.core.causes.finding import Cause
from watchdog.core.incident import Incident, State, incident_id
from watchdog.core.target import Target
from watchdog.host import proc


class P2pScene(Scene):
    """The client of a generation, with an agent's configuration beside it; `options` are of `p2p`."""

    def __init__(self, lab: Lab, dragonfly: Dragonfly, **options: Any) -> None:
        said = {**dragonfly.options, **options}
        super().__init__(
            lab, Agent(lab, p2p={key: value for key, value in said.items() if value is not None})
        )
        self.dragonfly = dragonfly

    def incident(
        self, cause: Cause = Cause.P2P_PIECE_TIMEOUT, endpoint: str = "", reason: Optional[str] = None
    ) -> str:
        """Write what the agent would have recorded; its id."""
        one = self.dragonfly
        target = Target(endpoint=endpoint or one.address, reason=reason or one.generation)
        runtime = sample(os.getpid())  # it is held up, and nothing is done to it
        subject = f"p2p {target.endpoint}"
        return self.write(
            Incident(
                id=incident_id(proc.boot_id(), "lab", subject),
                runtime="lab",
                cause=cause,
                state=State.CONFIRMED,
                culprit=runtime,
                daemon=runtime,
                evidence=(),
                opened_wall_ns=time.time_ns(),
                confirmed_wall_ns=time.time_ns(),
                subject=subject,
                target=target,
            )
        )


@contextmanager
def client(generation: str, upstream_port: int = 1, **options: Any) -> Iterator[P2pScene]:
    """A scene in a lab of its own, without a dockerd."""
    lab = Lab()
    try:
        with Dragonfly(lab, generation, upstream_port=upstream_port) as one:
            yield P2pScene(lab, one, **options)
    finally:
        lab.stop()


@contextmanager
def trickle(bytes_per_s: int) -> Iterator[int]:
    """A registry that sends a layer at that rate; its port."""

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while not stop.wait(0.1):
                    self.wfile.write(b"x" * (bytes_per_s // 10))
            except OSError:
                return

        def log_message(self, *_: object) -> None:
            """Nothing."""

    stop = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        stop.set()
        server.shutdown()
        server.server_close()


@contextmanager
def pulling(scene: P2pScene) -> Iterator[None]:
    """Somebody fetches a layer through the client, as it comes."""
    request = b"GET /v2/a/blobs/sha256:1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", scene.dragonfly.port), 5) as connection:
        connection.sendall(request)
        connection.recv(1)
        stop = threading.Event()
        reader = threading.Thread(target=_read, args=(connection, stop), daemon=True)
        reader.start()
        try:
            yield
        finally:
            stop.set()
            reader.join(5.0)


def _read(connection: socket.socket, stop: threading.Event) -> None:
    connection.settimeout(0.2)
    while not stop.is_set():
        try:
            if not connection.recv(65536):
                return
        except OSError:
            continue
