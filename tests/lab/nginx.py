"""nginx as people put it before a registry: TLS front, load balancer, one behind another.

Its timeouts and limits are the real ones, only smaller.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from tests.lab import images
from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH, end, run, wait_until
from tests.lab.registry import free_port

CONFIG = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/temp;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
{servers}
}}
"""
SERVER = """\
    server {{
        listen 127.0.0.1:{port}{tls};
        {directives}
        location / {{
            proxy_pass http://127.0.0.1:{upstream_port};
            proxy_set_header Host $http_host;
            proxy_http_version 1.1;
        }}
    }}
"""
TLS = """ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem"""


@dataclass(frozen=True)
class Front:
    """One nginx server before a port: `directives` as nginx has them, without their semicolons.

    `tls`: with a certificate of its own.  dockerd takes any from a loopback address.
    """

    upstream_port: int
    directives: tuple[str, ...] = ()
    tls: bool = False


class Nginx:
    """An nginx process with its fronts; use it in a `with` block within the lab's.

    `ports`: of each front, in their order.
    """

    def __init__(self, lab: Lab, fronts: Sequence[Front], name: str = "nginx") -> None:
        self._lab = lab
        self._fronts = tuple(fronts)
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = lab.root / name
        self.ports = [free_port() for _ in fronts]

    def __enter__(self) -> Nginx:
        self.folder.mkdir(exist_ok=True)
        if any(one.tls for one in self._fronts):
            self._make_certificate()
        config = self.folder / "nginx.conf"
        servers = "".join(self._server(front, port) for front, port in zip(self._fronts, self.ports))
        config.write_text(CONFIG.format(folder=self.folder, servers=servers))
        command = ["nginx", "-p", str(self.folder), "-c", str(config), "-e", str(self.folder / "error.log")]
        log = self.folder / "output.log"
        process = self._lab.cell.spawn(command, self._name, log, {"PATH": SYSTEM_PATH})
        self._process = process
        wait_until(lambda: process.poll() is not None or self._listens(), "nginx listens", 10.0)
        if process.poll() is not None:
            raise RuntimeError(f"nginx ended at its start: {log.read_text()[-500:]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            end(self._process)

    @property
    def port(self) -> int:
        """The port of the first front."""
        return self.ports[0]

    def reference(self, image: images.Image) -> str:
        """What to pull or push through the first front."""
        return f"localhost:{self.port}/{image.repository}:{image.tag}"

    def errors(self) -> str:
        """The error log."""
        return (self.folder / "error.log").read_text(errors="replace")

    def _server(self, front: Front, port: int) -> str:
        directives = "\n        ".join(f"{one};" for one in front.directives)
        tls = TLS.format(folder=self.folder) if front.tls else ""
        return SERVER.format(
            port=port, tls=f" {tls}" if tls else "", directives=directives, upstream_port=front.upstream_port
        )

    def _make_certificate(self) -> None:
        run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")),
        )

    def _listens(self) -> bool:
        return all(listens(port) for port in self.ports)


def listens(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True
