"""Questions to a registry: whether it serves, and how it fails, of real servers on loopback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from watchdog.core.reference import parse_reference
from watchdog.host import registry, trust

IMAGE = parse_reference("lab/small:1")
LAYER = "sha256:" + "a" * 64
ONE = {"schemaVersion": 2, "layers": [{"digest": LAYER, "size": 3}]}
LIST = {"schemaVersion": 2, "manifests": [{"digest": "sha256:" + "b" * 64}]}
WHOLE = {
    "/v2/": (200, b"{}"),
    "/v2/lab/small/manifests/1": (200, json.dumps(LIST).encode()),
    f"/v2/lab/small/manifests/{LIST['manifests'][0]['digest']}": (200, json.dumps(ONE).encode()),  # type: ignore[index]
    f"/v2/lab/small/blobs/{LAYER}": (200, b"abc"),
}


@contextmanager
def serving(answers: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback with these answers by path (None: silence), its URL and what it was asked."""
    asked: list[str] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = answers.get(self.path, (404, b""))
            if answer is None:
                over.wait(10.0)
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def reason(answers: dict[str, Any], with_image: bool = True) -> str:
    with serving(answers) as (url, _):
        return registry.ask(url, {}, 1.0, IMAGE if with_image else None).reason


def test_one_that_serves_is_asked_up_to_a_layer() -> None:
    with serving(WHOLE) as (url, asked):
        assert registry.ask(f"{url}/", {}, 2.0, IMAGE).serves
    assert asked == list(WHOLE)[1:]


@pytest.mark.parametrize("status", [401, 403, 404, 429])
@pytest.mark.parametrize("path", ["/v2/lab/small/manifests/1", f"/v2/lab/small/blobs/{LAYER}"])
def test_one_that_does_not_give_it_serves(path: str, status: int) -> None:
    assert reason({**WHOLE, path: (status, b"")}) == ""


@pytest.mark.parametrize("path", list(WHOLE)[1:])
def test_an_error_at_any_step(path: str) -> None:
    assert reason({**WHOLE, path: (502, b"")}) == "5xx"


@pytest.mark.parametrize("path", list(WHOLE)[1:])
def test_silence_at_any_step(path: str) -> None:
    assert reason({**WHOLE, path: None}) == "hangs"


def test_without_an_image_only_its_api_is_asked() -> None:
    assert reason({"/v2/": (401, b"")}, with_image=False) == ""
    assert reason({"/v2/": (500, b"")}, with_image=False) == "5xx"


def test_a_page_in_the_place_of_a_manifest() -> None:
    assert reason({**WHOLE, "/v2/lab/small/manifests/1": (200, b"<html>")}) == "5xx"


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert registry.ask(f"http://127.0.0.1:{port}", {}, 1.0).reason == "refused"


def test_no_tls_there() -> None:
    with serving(WHOLE) as (url, _):
        assert registry.ask(url.replace("http:", "https:"), {}, 1.0).reason == "tls"


def test_no_such_name() -> None:
    assert registry.ask("http://mirror.invalid", {}, 5.0).reason in ("dns", "hangs")


def test_the_runtimes_proxy_is_asked_for_what_is_not_on_this_machine() -> None:
    with serving({"http://mirror.invalid/v2/": (200, b"{}")}) as (proxy, asked):
        answer = registry.ask("http://mirror.invalid", {"HTTP_PROXY": proxy}, 2.0)
    assert answer.serves
    assert asked == ["http://mirror.invalid/v2/"]


@pytest.mark.parametrize("no_proxy", ["10.0.0.0/8", "10.1.2.3", "10.1.2.3:80,x", "*"])
def test_what_the_runtime_asks_directly_we_do_too(no_proxy: str) -> None:
    assert registry._goes_direct("10.1.2.3", no_proxy)


@pytest.mark.parametrize("no_proxy", [".corp.example", "corp.example", "a, mirror.corp.example"])
def test_names_that_are_asked_directly(no_proxy: str) -> None:
    assert registry._goes_direct("mirror.corp.example", no_proxy)


@pytest.mark.parametrize("no_proxy", ["", "orp.example", "10.0.0.0/8", "other.corp.example"])
def test_names_that_are_not(no_proxy: str) -> None:
    assert not registry._goes_direct("mirror.corp.example", no_proxy)


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://127.0.0.1:5000/", ("127.0.0.1:5000",)),
        ("https://127.0.0.1", ("127.0.0.1:443",)),
        ("http://[::1]:80/", ("[::1]:80",)),
        ("http://mirror.invalid/", ()),
    ],
)
def test_where_a_url_leads(url: str, wanted: tuple[str, ...]) -> None:
    assert registry.addresses(url, 5.0) == wanted


def test_certificates_stand_where_the_runtime_has_them() -> None:
    assert Path("/etc/docker/certs.d") == trust.CERTIFICATES
