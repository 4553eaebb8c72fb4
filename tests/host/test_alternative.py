"""host/alternative: a real registry, plain and behind TLS, and what only looks like one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Dict, Optional

import pytest

from tests.lab.conftest import _lab_is_possible, lab  # noqa: F401  (fixtures)
from tests.lab.images import SMALL, build
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx
from tests.lab.proxy import MANIFESTS, FaultProxy, Rule
from tests.lab.registry import free_port
from watchdog.core.reference import Reference
from watchdog.errors import Unavailable
from watchdog.host import trust
from watchdog.host.alternative import Alternative, check

pytestmark = pytest.mark.lab

HOST = "registry.example"


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:  # noqa: F811
    lab.registry.publish(SMALL)
    with FaultProxy(lab) as running:
        yield running


def image(**changes: str) -> Reference:
    wanted = {"path": SMALL.repository, "tag": SMALL.tag, "digest": build(SMALL).digest, **changes}
    return Reference(HOST, **wanted)


def at(port: int, plain: bool = True) -> Alternative:
    return Alternative(HOST, "127.0.0.1", port, plain)


def why_not(one: Alternative, wanted: Reference) -> str:
    with pytest.raises(Unavailable) as refused:
        check(one, wanted)
    return str(refused.value)


def test_a_registry_that_has_the_image_and_serves_ranges(proxy: FaultProxy) -> None:
    assert "ranges" in check(at(proxy.port), image())
    assert any(one.range_from == 0 for one in proxy.layers(SMALL))


def test_one_that_ignores_ranges(proxy: FaultProxy) -> None:
    proxy.rule(Rule(ignore_range=True))
    assert "no ranges" in why_not(at(proxy.port), image())


def test_one_that_does_not_have_the_image(proxy: FaultProxy) -> None:
    assert "does not have it" in why_not(at(proxy.port), image(path="another"))


@pytest.mark.parametrize("status", [404, 200, 401])
def test_what_is_no_registry(proxy: FaultProxy, status: int) -> None:
    proxy.rule(Rule(path="/v2/", status=status, body="default backend"))
    answer = why_not(at(proxy.port), image())
    assert "no registry" in answer or "no manifest" in answer


def test_one_that_wants_a_login(proxy: FaultProxy) -> None:
    proxy.rule(Rule(path=MANIFESTS, status=401))
    assert "wants a login" in why_not(at(proxy.port), image())


def test_nobody_there() -> None:
    assert "does not answer" in why_not(at(free_port()), image())


def test_tls_with_a_certificate_for_that_name(
    lab: Lab,  # noqa: F811
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trust, "CERTIFICATES", tmp_path)
    with Nginx(lab, [Front(proxy.port, tls=True)]) as nginx:
        one = Alternative("localhost", "127.0.0.1", nginx.port)
        wanted = Reference("localhost", SMALL.repository, SMALL.tag, None)
        assert "certificate" in why_not(one, wanted), "nobody has vouched for it"
        (tmp_path / "localhost").mkdir()
        (tmp_path / "localhost" / "ca.crt").write_text((nginx.folder / "cert.pem").read_text())
        assert "ranges" in check(one, wanted)
        (tmp_path / HOST).mkdir()
        (tmp_path / HOST / "ca.crt").write_text((nginx.folder / "cert.pem").read_text())
        assert "certificate" in why_not(at(nginx.port, plain=False), image()), "it is for another name"


class Tokens(BaseHTTPRequestHandler):
    """A registry that gives its images to strangers who have asked for a token."""

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        if self.path.startswith("/token"):
            assert "scope=repository%3Asmall%3Apull" in self.path
            return self._answer(200, b'{"token": "abc"}')
        if self.headers.get("Authorization") != "Bearer abc":
            realm = f'Bearer realm="http://{HOST}:{port}/token",service="registry"'
            return self._answer(401, b"", {"WWW-Authenticate": realm})
        if MANIFESTS in self.path:
            return self._answer(200, b'{"layers": [{"digest": "sha256:00"}]}')
        return self._answer(206 if self.headers.get("Range") == "bytes=0-0" else 200, b"x")

    def _answer(self, status: int, body: bytes, headers: Optional[Dict[str, str]] = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing: nobody reads it."""


def test_strangers_get_a_token_where_the_registry_gives_one() -> None:
    with HTTPServer(("127.0.0.1", 0), Tokens) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            assert "ranges" in check(at(server.server_address[1]), image())
        finally:
            server.shutdown()
