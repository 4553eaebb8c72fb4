"""A stand-in for docker.io: what dockerd reaches by that name is the lab's own registry.

A node whose way out is an HTTP proxy is an ordinary node.  So dockerd gets one
(HTTPS_PROXY), which leads CONNECT to registry-1.docker.io to an nginx with a
certificate for that name (SSL_CERT_FILE), before the lab's registry.  dockerd does
the rest as it always does: docker.io's endpoints, its mirrors first, TLS checked.
Loopback addresses never go through a proxy, so mirrors on them are direct.

What is not as outside: no token service (the registry asks for no login).
"""

from __future__ import annotations

import subprocess
from types import TracebackType

from tests.lab import images
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx, listens
from tests.lab.processes import SYSTEM_PATH, end, run, wait_until
from tests.lab.proxy import PROJECT, PYTHON
from tests.lab.registry import free_port

NAME = "registry-1.docker.io"
SMALL = images.Image("lab/small", images.SMALL.layers)


class DockerIo:
    """The way to docker.io; use it in a `with` block around the lab's, so that dockerd starts with it.

    `closed`: nobody answers there, as on a node without a way out.
    """

    def __init__(self, lab: Lab, closed: bool = False) -> None:
        self._lab = lab
        self._closed = closed
        self._tunnel: subprocess.Popen[bytes] | None = None
        self._tls_port = free_port()
        self.port = free_port()
        self.folder = lab.root / "docker-io"
        lab.dockerd.environment.write_text(
            f"HTTPS_PROXY=http://127.0.0.1:{self.port} SSL_CERT_FILE={self.folder}/cert.pem"
        )

    def __enter__(self) -> DockerIo:
        self.folder.mkdir()
        self._make_certificate()
        directives = (
            f"listen 127.0.0.1:{self._tls_port} ssl",
            f"ssl_certificate {self.folder}/cert.pem",
            f"ssl_certificate_key {self.folder}/key.pem",
        )
        self._nginx = Nginx(self._lab, [Front(self._lab.registry.port, directives)], "origin")
        self._nginx.__enter__()
        if not self._closed:
            self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tunnel is not None:
            end(self._tunnel)
        self._nginx.__exit__(kind, error, trace)

    def open(self) -> None:
        """Let it answer."""
        command = [PYTHON, "-m", "tests.lab.tunnel", str(self.port), f"{NAME}:443", str(self._tls_port)]
        environment = {"PATH": SYSTEM_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
        log = self._lab.root / "tunnel.log"
        self._tunnel = self._lab.cell.spawn(command, "tunnel", log, environment, cwd=PROJECT)
        wait_until(lambda: listens(self.port), "the way to docker.io is open", 15.0)

    def requests(self) -> list[str]:
        """The lines of its access log."""
        return (self._nginx.folder / "access.log").read_text().splitlines()

    def _make_certificate(self) -> None:
        run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
            *("-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")),
        )
