"""The agent as its unit runs it, without a service manager: a user that may look, and root's hands.

The directories are those of packaging/systemd/tmpfiles.conf; the socket is
served as `Accept=yes` has it, by a process of root for each connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.lab.agent import PROJECT, PYTHON, Agent
from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH
from watchdog.host.privileged import SOCKET_VARIABLE

USER = 54321  # of nobody; the kernel does not ask who that is
SIGHT = ("bpf", "perfmon", "sys_ptrace", "dac_read_search")


@contextlib.contextmanager
def agent_without_rights(lab: Lab, hands: bool = True) -> Iterator[Agent]:
    """An agent in enforce that is no root; without `hands` nobody takes its requests."""
    agent = Agent(lab)
    _give_directories(agent)
    os.chown(lab.dockerd.socket, 0, USER)
    path = agent.run_dir / "act.sock"
    with _Hands(path, agent.config) if hands else contextlib.nullcontext():
        agent.start(under=_as_user(), **{SOCKET_VARIABLE: str(path)})
        with agent:
            yield agent


def _give_directories(agent: Agent) -> None:
    for folder in (agent.run_dir, agent.state_dir):
        os.chown(folder, 0, USER)
        folder.chmod(0o1775)
    for folder in (agent.run_dir / "incidents", agent.state_dir / "incidents", agent.state_dir / "cursors"):
        folder.mkdir()
        os.chown(folder, USER, USER)


def _as_user() -> list[str]:
    allowed = ",".join(f"+{one}" for one in SIGHT)
    sets = [f"--{which}-caps=-all,{allowed}" for which in ("inh", "ambient")]
    return [
        *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"),
        *(*sets, f"--bounding-set=-all,{allowed}"),
    ]


class _Hands:
    """Root's socket, with a process for each connection."""

    def __init__(self, path: Path, config: Path) -> None:
        self._command = [PYTHON, "-m", "watchdog", "perform", "-c", str(config)]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        os.chown(path, 0, USER)
        path.chmod(0o660)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(30.0)

    def _serve(self) -> None:
        environment = {"PATH": SYSTEM_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
        while True:
            try:
                channel, _ = self._socket.accept()
            except OSError:
                return
            with channel:
                subprocess.run(
                    self._command, stdin=channel, stdout=channel, cwd=PROJECT, env=environment, check=False
                )
