"""Serves the metrics over HTTP on an address of this host.

Law: no client can hold up the agent or another client: each is served on a
thread of its own, with a deadline, and there are never more than a few.  Only
the text format 0.0.4 is served: in OpenMetrics the gauge `incidents` and the
counter `incidents_total` would be one name.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Callable, Tuple, Type

from watchdog.config import Listen
from watchdog.errors import Unavailable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_CLIENT_DEADLINE_S = 5.0
_CLIENTS_MAX = 8
_LOOKS_FOR_ITS_END_S = 1.0  # each look is a wake-up of an idle node
_INDEX = b"pull-watchdog: see /metrics\n"


class MetricsServer:
    """Bound when constructed, closed by `close`.  Raises Unavailable when the address cannot be had."""

    def __init__(self, listen: Listen, exposition: Callable[[], bytes]) -> None:
        self._server = _bind(listen, exposition)
        host, port = self._server.server_address[:2]
        self.address = f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOKS_FOR_ITS_END_S,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _bind(listen: Listen, exposition: Callable[[], bytes]) -> _Server:
    try:
        return _Server(listen, _handler(exposition))
    except OSError as error:
        raise Unavailable(
            f"metrics: {listen.host}:{listen.port} cannot be listened on ({error.strerror}): "
            f"`ss -ltnp` shows who has it; choose another metrics.listen in the configuration, or off"
        ) from error


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listen: Listen, handler: Type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        self._free = threading.Semaphore(_CLIENTS_MAX)
        super().__init__((listen.host, listen.port), handler)

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of our own name, which a resolver could stall."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve on a thread, or turn the client away while too many are being served."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """On the client's thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in mid-answer is nothing to tell."""


def _handler(exposition: Callable[[], bytes]) -> Type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET and HEAD."""

        timeout = _CLIENT_DEADLINE_S
        server_version = "pull-watchdog"
        sys_version = ""

        def do_GET(self) -> None:
            """The metrics, or where they are."""
            status, content = self._content()
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_GET

        def _content(self) -> Tuple[int, bytes]:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                return 200, exposition()
            return (200, _INDEX) if path == "/" else (404, _INDEX)

        def log_message(self, format: str, *args: Any) -> None:
            """Scrapes are not logged."""

    return Handler
