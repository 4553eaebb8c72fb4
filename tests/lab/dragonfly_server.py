"""The process of a Dragonfly stand-in: it answers, logs and fails as the real client does.

    dragonfly_server GENERATION CONFIG UPSTREAM_PORT CONTROL LOG DATA PIDFILE

What each generation says and when, with the source of it, stands beside the code.
It reads its own YAML as the real one does: ports, supernodes, the piece time-out.
CONTROL is JSON, read at each request: `piece_s` (how long a piece takes),
`large_bytes` (smaller answers are one quick piece), `rate_bytes_per_s` (of v1's
fetching), `preheats` (a job of the manager's runs while it is above zero).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

CHUNK_BYTES = 64 * 1024
SUPERNODE_DIAL_S = 1.0
DEFAULT_SUPERNODE = "127.0.0.1:8002"  # v1 without an address (dfget/config: DefaultSupernodesValue)
PIECE_BYTES = 64 << 20
PEER = "10.160.244.12-33432-c6ae2cdd"
TASK = "f9eac18191e566bd194407d2ddbf7a25ccc5cc5ebab94ca424ab440954c72f42"


class Failed(Exception):
    """The download failed inside Dragonfly."""


class Daemon:
    """One client: its configuration as it was at its start, its counters, its log."""

    def __init__(self, generation: str, config: str, upstream_port: int, control: str, log: str, data: str):
        self.generation = generation
        self.settings: dict[str, Any] = yaml.safe_load(Path(config).read_text()) or {}
        self.upstream_port = upstream_port
        self.data = Path(data)
        self._control = Path(control)
        self._log = Path(log)
        self._lock = threading.Lock()
        self.counters = {"failed": 0, "done": 0, "running": 0, "bytes": 0}

    def control(self, name: str, default: float) -> float:
        return float(json.loads(self._control.read_text()).get(name, default))

    def say(self, line: str) -> None:
        with self._lock, self._log.open("a") as file:
            file.write(line + "\n")

    def count(self, name: str, more: int = 1) -> None:
        with self._lock:
            self.counters[name] += more

    def at(self, *keys: str, default: Any = None) -> Any:
        found: Any = self.settings
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        return default if found is None else found

    # --- what a piece does ---------------------------------------------------------------

    @property
    def piece_timeout_s(self) -> float:
        if self.generation == "v2_rust":
            return seconds(self.at("download", "pieceTimeout", default="360s"))
        return seconds(self.at("download", "pieceDownloadTimeout", default="30s"))

    def fetch_piece(self) -> None:
        """Take as long as a piece takes, or fail at the time-out as the real client does."""
        takes, limit = self.control("piece_s", 0.0), self.piece_timeout_s
        if self.generation == "v2_rust":
            self.say(f"{rust_time()}  INFO {RUST_START}")
        else:
            self.say(go_line("info", "peer/peertask_conductor.go:340", "peer task found"))
        self.count("running")
        try:
            time.sleep(min(takes, limit))
        finally:
            self.count("running", -1)
        if takes > limit:
            self.count("failed")
            for line in self._failure():
                self.say(line)
            raise Failed("piece timeout")
        self.count("done")
        self.count("bytes", PIECE_BYTES)

    def _failure(self) -> list[str]:
        """The lines of a real piece time-out."""
        if self.generation == "v2_rust":  # dragonfly#3928, dragonfly#3890
            return [
                f"{rust_time()} ERROR {RUST_COPY}",
                f"{rust_time()} ERROR {RUST_PIECE}",
            ]
        return [  # Dragonfly2#3311 and the manager's word for a preheat that it gave up
            go_line(
                "warn",
                "peer/peertask_piecetask_synchronizer.go:469",
                "watch sync pieces timeout, may be a bug, please file a issue in "
                "https://github.com/dragonflyoss/Dragonfly2/issues",
            ),
            go_line(
                "error",
                "job/job.go:201",
                "preheat task_6a7d2dec failed: rpc error: code = DeadlineExceeded desc = context "
                "deadline exceeded",
            ),
        ]

    def preheat_for_ever(self) -> None:
        """What the manager's jobs have a seed client do, piece after piece."""
        while True:
            if self.control("preheats", 0):
                with contextlib.suppress(Failed):
                    self.fetch_piece()
            time.sleep(0.2)

    # --- Dragonfly 1 ------------------------------------------------------------------------

    def register_at_supernode(self) -> None:
        """dfget's first step; the lines are those of a real refusal (dragonfly-archived#252, #1013)."""
        node = self.at("supernodes", default=[DEFAULT_SUPERNODE])[0]
        host, _, port = node.rpartition(":")
        try:
            socket.create_connection((host, int(port)), SUPERNODE_DIAL_S).close()
        except OSError:
            cause = f"dial tcp4 {node}: connect: connection refused"
            sign = f"sign:{os.getpid()}-{time.time():.3f}"
            self.say(f"{v1_time()} ERRO {sign} : Connect to node:{node} error: {cause}")
            self.say(f"{v1_time()} INFO {sign} : do register to {node}, res:null error:{cause}")
            self.say(f'{v1_time()} ERRO {sign} : register fail:{{"Code":-100,"Msg":"{cause}"}}')
            self.say(f"{v1_time()} ERRO {sign} : download fail and not back source: 1008")
            stamp = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
            self.say(f"{stamp} http: proxy error: dfget fail(exit status 79):exit status 79")
            raise Failed("register") from None

    def fetch_whole(self, answer: http.client.HTTPResponse) -> Path:
        """The layer, complete, in a file of the store before its first byte is sent (v0.3 to 1.0.x)."""
        folder = self.data / ".small-dragonfly" / "dfdaemon" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"dfget-{time.monotonic_ns()}.tmp"
        rate = self.control("rate_bytes_per_s", 0)
        with path.open("wb", buffering=0) as file:
            while piece := answer.read(CHUNK_BYTES):
                file.write(piece)
                if rate:
                    time.sleep(len(piece) / rate)
        return path


class Handler(BaseHTTPRequestHandler):
    """Its proxy, and in Dragonfly 1 its questions too."""

    protocol_version = "HTTP/1.1"
    daemon_of: Daemon

    def log_message(self, *_: object) -> None:
        """Nothing: the client's own log is the daemon's."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.close_connection = True
        daemon = self.daemon_of
        if daemon.generation == "v1" and self.path in ("/args", "/debug/version"):
            # dfdaemon/handler/param_handler.go, debug_handler.go
            return self.answer(200, b"--verbose " if self.path == "/args" else b"1.0.2")
        try:
            self._proxy(daemon)
        except Failed:
            self._fail(daemon)
        except OSError:
            pass  # the runtime left

    def _fail(self, daemon: Daemon) -> None:
        if daemon.generation == "v1":  # httputil.ReverseProxy: 502, no body
            self.answer(502, b"")
        elif daemon.generation == "v2_go":  # client/daemon/transport: 500 with the error's text
            self.answer(500, b"peer task failed: context deadline exceeded\n")
        else:  # dragonfly-client/src/proxy/mod.rs: make_error_response, header.rs: ErrorType
            self.answer(500, b"", {"X-Dragonfly-Error-Type": "dfdaemon"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(body)),
            "Connection": "close",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _proxy(self, daemon: Daemon) -> None:
        by_p2p = "/blobs/sha256" in self.path and self.command == "GET"  # proxies: regx: blobs/sha256.*
        if by_p2p and daemon.generation == "v1":
            daemon.register_at_supernode()
        upstream = http.client.HTTPConnection("127.0.0.1", daemon.upstream_port, timeout=60)
        with contextlib.closing(upstream):
            given = {name: self.headers.get_all(name) for name in ("Accept", "Range")}
            wanted = {name: ", ".join(values) for name, values in given.items() if values}
            upstream.request(self.command, self.path, headers=wanted)
            answer = upstream.getresponse()
            large = int(answer.headers.get("Content-Length", 0)) >= daemon.control("large_bytes", 1_000_000)
            if by_p2p and large and daemon.generation != "v1":
                daemon.fetch_piece()
            whole = daemon.fetch_whole(answer) if by_p2p and daemon.generation == "v1" else None
            self._send(answer, whole)

    def _send(self, answer: http.client.HTTPResponse, whole: Path | None) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        source: Any = whole.open("rb") if whole else answer
        while piece := source.read(CHUNK_BYTES):
            self.wfile.write(piece)
        if whole:
            source.close()
            whole.unlink()


class Health(BaseHTTPRequestHandler):
    """Rust: `warp::reply()`, 200 and empty (src/health/mod.rs).  Go: gin's JSON "OK" (daemon.go)."""

    daemon_of: Daemon

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        rust = self.daemon_of.generation == "v2_rust"
        known = self.path == ("/healthy" if rust else "/server/ping")
        body = b"" if rust else b'"OK"'
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body) if known else 0))
        self.end_headers()
        self.wfile.write(body if known else b"")


class Metrics(Health):
    """Prometheus' text, the names from src/metrics/mod.rs and client/daemon/metrics."""

    def do_GET(self) -> None:
        count = self.daemon_of.counters
        labels = '{app="",priority="6",tag="",type="d7y"}'
        if self.daemon_of.generation == "v2_rust":
            begin = "dragonfly_client_"
            lines = [
                f'{begin}version{{build_time="",git_commit="",git_version="0.2.10",platform="linux"}} 1',
                f"{begin}download_task_total{labels} {count['done'] + count['failed']}",
                f"{begin}download_task_failure_total{labels} {count['failed']}",
                f"{begin}concurrent_download_task_total{labels} {count['running']}",
                f'{begin}download_traffic{{task_type="d7y",type="BACK_TO_SOURCE"}} {count["bytes"]}',
            ]
        else:
            begin = "dragonfly_dfdaemon_"
            lines = [
                f"{begin}peer_task_total {count['done'] + count['failed']}",
                f'{begin}peer_task_failed_total{{type="file"}} {count["failed"]}',
                f"{begin}piece_task_total {count['done']}",  # peer/peertask_conductor.go: successes only
            ]
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# --- words ----------------------------------------------------------------------------------

_SPAN = "download_task:download:download_partial_with_scheduler_from_source"
RUST_START = (
    f"{_SPAN}: dragonfly-client/src/resource/task.rs:1299: start to download piece {TASK}-14 from source "
    f'host_id="seed-client-1" task_id="{TASK}"'
)
RUST_COPY = (
    f"{_SPAN}:write_piece: dragonfly-client-storage/src/content.rs:361: copy "
    f'"/var/lib/dragonfly/content/tasks/f9e/{TASK}" failed: error decoding response body '
    f'host_id="seed-client-1" task_id="{TASK}"'
)
RUST_PIECE = (
    "download_task:download: dragonfly-client/src/resource/piece.rs:640: download piece finished: "
    "reqwest::Error { kind: Decode, source: reqwest::Error { kind: Body, source: TimedOut } }"
)


def go_line(level: str, caller: str, message: str) -> str:
    stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return json.dumps(
        {"level": level, "ts": stamp, "caller": caller, "msg": message, "peer": PEER, "task": TASK},
        separators=(",", ":"),
    )


def rust_time() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f000+00:00")


def v1_time() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def seconds(text: str) -> float:
    """Of "30s", "2m" or "500ms"."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    raise ValueError(text)


# --- the process ------------------------------------------------------------------------------


def serve(port: int, handler: type[BaseHTTPRequestHandler], daemon: Daemon) -> None:
    kind = type(handler.__name__, (handler,), {"daemon_of": daemon})
    server = ThreadingHTTPServer(("127.0.0.1", port), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(arguments: list[str]) -> None:
    generation, config, upstream_port, control, log, data, pidfile = arguments
    daemon = Daemon(generation, config, int(upstream_port), control, log, data)
    if generation == "v1":
        serve(daemon.at("port", default=65001), Handler, daemon)
    elif generation == "v2_go":
        serve(daemon.at("proxy", "tcpListen", "port", default=65001), Handler, daemon)
        serve(daemon.at("health", "tcpListen", "port", default=40901), Health, daemon)
        if daemon.at("metrics"):
            serve(int(daemon.at("metrics").rpartition(":")[2]), Metrics, daemon)
    else:
        serve(daemon.at("proxy", "server", "port", default=4001), Handler, daemon)
        serve(daemon.at("health", "server", "port", default=4003), Health, daemon)
        serve(daemon.at("metrics", "server", "port", default=4002), Metrics, daemon)
    threading.Thread(target=daemon.preheat_for_ever, daemon=True).start()
    Path(pidfile).write_text(str(os.getpid()))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1:])
