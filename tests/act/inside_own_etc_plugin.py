"""Run by test_dump_goroutines.py in a mount namespace of its own, where /etc is a copy.

dockerd asks an authorization plugin before it answers anything, a ping as well, and
waits for it without a limit.  So a plugin that hangs makes a healthy dockerd silent.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from tests.act.scene import Scene
from tests.lab.agent import Agent
from tests.lab.conftest import _lab_is_possible  # noqa: F401  (a fixture)
from tests.lab.lab import Lab
from tests.lab.processes import has_ended
from watchdog.core.causes.finding import Cause
from watchdog.core.target import Target

NAME = "gate"


class Plugin(BaseHTTPRequestHandler):
    """Allows everything, once it is let."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_question = "Activate" not in self.path
        if is_question:
            self.server.goes_on.wait(60.0)  # type: ignore[attr-defined]
        body = json.dumps({"Allow": True} if is_question else {"Implements": ["authz"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing: nobody reads it."""


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()
        super().__init__(str(path), Plugin)


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "plugin.sock") as server:
        folder = Path("/etc/docker/plugins")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{NAME}.spec").write_text(f"unix://{tmp_path}/plugin.sock")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server
        server.goes_on.set()
        server.shutdown()


def test_the_stacks_of_a_dockerd_that_waits_for_its_plugin(
    plugin: Server,
    _lab_is_possible: None,  # noqa: F811
) -> None:
    with Lab((f"--authorization-plugin={NAME}",)) as lab:
        scene, daemon = Scene(lab, Agent(lab)), lab.dockerd.pid
        incident = scene.record(Cause.DAEMON_UNRESPONSIVE, daemon, target=Target(reason="silent"))
        plugin.goes_on.clear()

        result = scene.act("dump_goroutines", incident)

        assert result["outcome"] == "done", result
        (dump,) = lab.root.glob("exec/goroutine-stacks-*.log")
        assert dump.name in result["detail"] and "authorization" in dump.read_text()
        plugin.goes_on.set()
        assert not has_ended(daemon) and lab.dockerd.api.get("/info")
