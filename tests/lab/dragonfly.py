"""A Dragonfly client beside a lab's dockerd: any of its three generations, as a stand-in.

Its process has the real one's name, its configuration is the real one's file with
the comments of the real one, and it is restarted by a script, as by its unit.
How it answers and what it logs: tests/lab/dragonfly_server.py.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab import images
from tests.lab.lab import Lab
from tests.lab.processes import ENTER_GROUP, SYSTEM_PATH, kill
from tests.lab.registry import free_port

PROJECT = Path(__file__).resolve().parents[2]

# After ci/dfdaemon.yaml of the Rust client; of Dragonfly2's dfget.yaml; of v1's dfdaemon.yml.
CONFIGS = {
    "v2_rust": """\
# verbose prints log.
verbose: true
log:
  # Specify the logging level [trace, debug, info, warn, error]
  level: info
download:
  server:
    # -- socketPath is the unix socket path for dfdaemon GRPC service.
    socketPath: /var/run/dragonfly/dfdaemon.sock
  # --   pieceTimeout is the timeout for downloading a piece from source.
  pieceTimeout: {timeout}   # ours, since the pilot
  # -- concurrentPieceCount is the number of concurrent pieces to download.
  concurrentPieceCount: 10
scheduler:
  scheduleTimeout: 30s
proxy:
  server:
    # -- port is the port to the proxy server.
    port: {port}
  rules:
    - regex: 'blobs/sha256.*'
  registryMirror:
    addr: https://index.docker.io
health:
  server:
    port: {health}
metrics:
  server:
    port: {metrics}
""",
    "v2_go": """\
# daemon alive time, when sets 0s, daemon will not auto exit
aliveTime: 0s
metrics: ":{metrics}"
scheduler:
  scheduleTimeout: 30s
  disableAutoBackSource: true
download:
  calculateDigest: true
  pieceDownloadTimeout: "{timeout}"
  totalRateLimit: 1024Mi
health:
  path: "/server/ping"
  tcpListen: {{port: {health}}}
proxy:
  tcpListen:
    # the port of the registry mirror
    port: {port}
  proxies:
    - regx: blobs/sha256.*
""",
    "v1": """\
registry_mirror:
  # url for the registry mirror
  remote: https://index.docker.io
proxies:
  # proxy all http image layer download requests with dfget
  - regx: blobs/sha256:.*
port: {port}
supernodes: ["127.0.0.1:{supernode}"]
ratelimit: 20M
""",
}
NAMES = {"v2_rust": "dfdaemon.yaml", "v2_go": "dfget.yaml", "v1": "dfdaemon.yml"}
COMMS = {"v2_rust": "dfdaemon", "v2_go": "dfget", "v1": "dfdaemon"}

SERVICE = """\
#!/bin/sh
# What systemctl does for its unit.
set -eu
stop() {{
    [ -f {pidfile} ] || return 0
    pid=$(cat {pidfile})
    rm -f {pidfile}
    kill -TERM "$pid" 2>/dev/null || return 0
    while [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.05; done
}}
start() {{
    echo start >>{folder}/starts
    cd {project}
    env -i PATH={path} PYTHONDONTWRITEBYTECODE=1 sh -c {enter_group} {group} \\
        setsid {command} </dev/null >>{log}.errors 2>&1 &
    tries=0
    until [ -f {pidfile} ] || [ "$tries" -gt 200 ]; do tries=$((tries + 1)); sleep 0.05; done
    [ -f {pidfile} ]
}}
case $1 in
start) start ;;
stop) stop ;;
restart) stop && start ;;
esac
"""


class Dragonfly:
    """One client; use it in a `with` block within the lab's.  `timeout`: its piece time-out."""

    def __init__(
        self, lab: Lab, generation: str, timeout: str = "2s", upstream_port: int | None = None, **control: Any
    ) -> None:
        self.generation = generation
        self.folder = lab.root / f"dragonfly-{generation}"
        self.folder.mkdir()
        self.config = self.folder / NAMES[generation]
        self.log = self.folder / "dfdaemon.log"
        self.service = self.folder / "service"
        self.port, self.health, self.metrics, self.supernode = (free_port() for _ in range(4))
        self._control = self.folder / "control.json"
        self._pidfile = self.folder / "pid"
        self.log.touch()
        self.config.write_text(
            CONFIGS[generation].format(
                timeout=timeout,
                port=self.port,
                health=self.health,
                metrics=self.metrics,
                supernode=self.supernode,
            )
        )
        self.control(**control)
        self._write_service(lab, upstream_port or lab.registry.port)

    def __enter__(self) -> Dragonfly:
        subprocess.run([str(self.service), "start"], check=True, timeout=30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([str(self.service), "stop"], check=True, timeout=30)

    @property
    def pid(self) -> int:
        return int(self._pidfile.read_text())

    @property
    def fetching(self) -> int:
        """How many layers Dragonfly 1 has in its store that are not handed over yet."""
        return len(list(self.folder.glob(".small-dragonfly/dfdaemon/data/dfget-*.tmp")))

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len((self.folder / "starts").read_text().splitlines())

    @property
    def address(self) -> str:
        """Where a runtime is pointed at."""
        return f"127.0.0.1:{self.port}"

    @property
    def options(self) -> dict[str, Any]:
        """The section `p2p` of an agent's configuration that watches it."""
        return {"config": str(self.config), "restart": [str(self.service), "restart"]}

    def control(self, **control: Any) -> None:
        """How it fares from now on: see tests/lab/dragonfly_server.py."""
        unfinished = self._control.with_suffix(".part")
        unfinished.write_text(json.dumps(control))
        unfinished.rename(self._control)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory is short: its unit leaves it down."""
        pid = self.pid
        kill(pid)
        self._pidfile.unlink()

    def reference(self, image: images.Image) -> str:
        """What to pull through it."""
        return f"localhost:{self.port}/{image.repository}:{image.tag}"

    def _write_service(self, lab: Lab, upstream_port: int) -> None:
        program = self.folder / COMMS[self.generation]
        program.symlink_to("/usr/bin/python3")
        command = [
            *(str(program), "-m", "tests.lab.dragonfly_server", self.generation, str(self.config)),
            *(str(upstream_port), str(self._control), str(self.log), str(self.folder), str(self._pidfile)),
        ]
        script = SERVICE.format(
            pidfile=self._pidfile,
            folder=self.folder,
            project=PROJECT,
            path=SYSTEM_PATH,
            enter_group=shlex.quote(ENTER_GROUP),
            group=lab.cell.group(self.folder.name),
            command=shlex.join(command),
            log=self.log,
        )
        self.service.write_text(script)
        self.service.chmod(0o755)
