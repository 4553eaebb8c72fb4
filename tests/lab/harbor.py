"""A stand-in for Harbor: what its core, its ingress and its nginx answer, well or ill.

Statuses, headers and bodies are those of Harbor 2.5 and of ingress-nginx, as their
sources have them; beside each stands which.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Iterator, List, Sequence, Tuple

# src/pkg/health: the order of its answer differs from call to call; the errors are its words
COMPONENTS = ("core", "portal", "jobservice", "registry", "registryctl", "database", "redis", "trivy")
ERRORS = {
    "database": 'failed to run SQL "SELECT 1": dial tcp 10.144.60.29:5432: connect: connection refused',
    "redis": "failed to ping: dial tcp 10.144.60.30:6379: connect: connection refused",
    "registry": "failed to check health: received unexpected status code: 503",
}
# src/lib/http/error.go: whatever went wrong, a 5xx says this
INTERNAL_ERROR = '{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}'
# ingress-nginx, images/custom-error-pages and its default backend; Go's net/http for a missing route
DEFAULT_BACKEND_404 = "default backend - 404"
GO_404 = "404 page not found\n"
# src/lib/http/error.go and lib/orm: core.log when Postgres has no connection left (harbor#12352)
CORE_WORDS = (
    '{time} [ERROR] [/lib/http/error.go:54]: {{"errors":[{{"code":"UNKNOWN","message":'
    '"unknown: pq: sorry, too many clients already"}}]}}'
)
# distribution's s3 driver, as it reaches registry.log (harbor#23005)
REGISTRY_WORDS = (
    'time="{time}" level=error msg="response completed with error" err.code=unknown '
    'err.detail="s3aws: SlowDown: Please reduce your request rate. status code: 503" '
    'err.message="unknown error" http.request.method=PUT http.response.status=500'
)


@dataclass
class Manner:
    """How the Harbor behaves; fields may be changed at will while it serves.

    `sick`: its components that are not well.  `ingress_404`: what every request gets.
    `old`: 1.x, whose API has no version in its paths.  `version`: of /systeminfo, "" for a
    Harbor that keeps it for its users.  `stalls`: it accepts and says nothing.
    """

    sick: Tuple[str, ...] = ()
    ingress_404: str = ""
    old: bool = False
    version: str = ""
    stalls: bool = False
    asked: List[str] = field(default_factory=list)


class Harbor:
    """Serves on loopback; `url` as an operator would write it."""

    def __init__(self) -> None:
        self.manner = Manner()
        self._over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.manner, self._over))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10.0)


@contextmanager
def harbor() -> Iterator[Harbor]:
    """One Harbor for a `with` block."""
    one = Harbor()
    one.start()
    try:
        yield one
    finally:
        one.stop()


def _handler(manner: Manner, over: threading.Event) -> type:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            manner.asked.append(self.path)
            if manner.stalls:
                over.wait(60.0)
                return
            status, body = _answer(manner, self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if body.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Silent."""

    return Handler


def _answer(manner: Manner, path: str) -> Tuple[int, str]:
    api = "/api" if manner.old else "/api/v2.0"
    if manner.ingress_404:
        return 404, manner.ingress_404
    if path == f"{api}/health":
        return 200, health_body(manner.sick)
    if path == f"{api}/systeminfo":
        return 200, json.dumps(
            {"harbor_version": manner.version} if manner.version else {"auth_mode": "db_auth"}
        )
    return 404, GO_404


def health_body(sick: Sequence[str]) -> str:
    """What GET /api/v2.0/health answers, always with 200."""
    components: List[Dict[str, str]] = [
        {"name": one, "status": "unhealthy", "error": ERRORS[one]}
        if one in sick
        else {"name": one, "status": "healthy"}
        for one in COMPONENTS
    ]
    return json.dumps({"status": "unhealthy" if sick else "healthy", "components": components})
