"""A private dockerd with its own containerd, and a client of its API.

It is started and stopped by a small script that stands in for the service
manager, so that a test and the product (`restart: [...]` in its configuration) do
it in the same way.
"""

from __future__ import annotations

import http.client
import json
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.lab import processes, sight
from tests.lab.processes import SYSTEM_PATH, Cell

START_DEADLINE_S = 60.0

SERVICE = """\
#!/bin/sh
# What systemctl does for a packaged dockerd: start, stop, restart.
# More environment variables for it stand in {root}/environment.
set -eu

start() {{
    collected {root}/docker.pid {root}/exec/containerd/containerd.pid
    rm -f {root}/docker.pid
    env -i PATH={path} TMPDIR={root} $(cat {root}/environment) sh -c {enter_group} {group} \\
        setsid {command} </dev/null >>{root}/dockerd.log 2>&1 &
    daemon=$!
    until timeout 5 docker -H unix://{root}/docker.sock version >/dev/null 2>&1; do
        if ! running "$daemon"; then
            echo "dockerd ended at its start:" && tail -n 3 {root}/dockerd.log
            exit 1
        fi
        sleep 0.1
    done
}}

stop() {{
    daemon=$(cat {root}/docker.pid 2>/dev/null) || return 0
    kill -TERM "$daemon" 2>/dev/null || return 0
    tries=0
    while running "$daemon"; do
        tries=$((tries + 1))
        [ "$tries" -lt 150 ] || kill -KILL "$daemon"
        sleep 0.1
    done
}}

# A zombie has ended, also when nobody has collected it yet.
running() {{
    [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}}

# dockerd takes a zombie's pid for a living dockerd or containerd, and init may be slow to collect it.
collected() {{
    for pidfile; do
        tries=0
        while [ -f "$pidfile" ] && [ -d "/proc/$(cat "$pidfile")" ] && [ "$tries" -lt 100 ]; do
            tries=$((tries + 1))
            sleep 0.1
        done
    done
}}

case $1 in
start) start ;;
stop) stop ;;
restart) stop && start ;;
esac
"""


class Dockerd:
    """One dockerd.  After a restart it has another pid and the same data.

    `early` is the first folder of its PATH and empty: a program placed there wins
    over all others.  `programs` is the second, for a fake unpigz.
    """

    def __init__(self, root: Path, cell: Cell, extra: Sequence[str] = (), debug: bool = False) -> None:
        self.root = root
        self.socket = root / "docker.sock"
        self.data_root = root / "data"
        self.pidfile = root / "docker.pid"
        self.log = root / "dockerd.log"
        self.config = root / "daemon.json"
        self.environment = root / "environment"
        self.early = root / "early"
        self.programs = root / "bin"
        self.service = root / "dockerd-service"
        self.api = Api(self.socket)
        self._prepare(cell, [*extra, *(["--debug"] if debug else [])])

    def _prepare(self, cell: Cell, extra: list[str]) -> None:
        for folder in (self.data_root, self.early, self.programs):
            folder.mkdir(exist_ok=True)
        self.config.write_text("{}")
        self.environment.touch()
        command = [
            *("dockerd", "--data-root", str(self.data_root), "--exec-root", str(self.root / "exec")),
            *(
                "-H",
                f"unix://{self.socket}",
                "--pidfile",
                str(self.pidfile),
                "--config-file",
                str(self.config),
            ),
            *("--bridge=none", "--iptables=false", *extra),
        ]
        script = SERVICE.format(
            root=self.root,
            path=f"{self.early}:{self.programs}:{SYSTEM_PATH}",
            enter_group=shlex.quote(processes.ENTER_GROUP),
            group=cell.group("dockerd"),
            command=shlex.join(command),
        )
        self.service.write_text(script)
        self.service.chmod(0o755)

    @property
    def pid(self) -> int:
        return int(self.pidfile.read_text())

    @property
    def containerd(self) -> int:
        """Its containerd, which is its child."""
        return int((self.root / "exec/containerd/containerd.pid").read_text())

    def start(self) -> None:
        """Start and wait until the API answers.  Raises RuntimeError with the log's last lines."""
        self._serve("start")

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after 15 s, as the packaged service does."""
        self._serve("stop")

    def restart(self) -> None:
        self._serve("restart")

    def kill(self) -> None:
        """SIGKILL, as the kernel's out-of-memory killer would."""
        processes.kill(self.pid)

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def decompressors(self) -> list[int]:
        return sight.decompressors(self.pid)

    @property
    def untars(self) -> list[int]:
        return sight.untars(self.pid)

    @property
    def blobs(self) -> list[sight.BlobFile]:
        return sight.blob_files(self.pid)

    def stands_still(self, for_s: float = 1.0) -> bool:
        """Whether an extraction is under way and not one byte of it moves."""
        return sight.stands_still(self.pid, for_s)

    def _serve(self, verb: str) -> None:
        processes.run(str(self.service), verb, deadline_s=START_DEADLINE_S)


class ApiError(Exception):
    """The daemon answered with an error status."""


class Api:
    """The daemon's HTTP API over its UNIX socket; every call has a deadline."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def call(self, method: str, path: str, deadline_s: float = 10.0) -> bytes:
        """The body of a successful answer.  Raises ApiError, or OSError when it does not answer."""
        connection = _UnixConnection(self.path, deadline_s)
        try:
            connection.request(method, path, headers={"Host": "docker"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(f"{method} {path}: {answer.status} {body.decode(errors='replace').strip()}")
        return body

    def get(self, path: str) -> Any:
        return json.loads(self.call("GET", path))

    def mirrors(self) -> list[str]:
        """Those in force; docker 26 says null for none."""
        return self.get("/info")["RegistryConfig"]["Mirrors"] or []

    def has_image(self, reference: str) -> bool:
        """Whether the image is complete in the store."""
        try:
            self.call("GET", f"/images/{quote(reference, safe='/:@')}/json")
        except ApiError:
            return False
        return True

    def remove_image(self, reference: str) -> None:
        self.call("DELETE", f"/images/{quote(reference, safe='/:@')}?force=1")

    def events(self, since_s: float, until_s: float) -> list[dict[str, Any]]:
        """Events of the past, between two times in seconds since the epoch."""
        query = urlencode({"since": f"{since_s:.6f}", "until": f"{until_s:.6f}"})
        return [json.loads(line) for line in self.call("GET", f"/events?{query}").splitlines()]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, deadline_s: float) -> None:
        super().__init__("docker", timeout=deadline_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
