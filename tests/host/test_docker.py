"""host/docker: an API client that no peer can hold, and that can only ask."""

from __future__ import annotations

import json
import os
import select
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from tests.host.conftest import no_descriptor_kept
from tests.lab.conftest import _lab_is_possible, lab  # noqa: F401  (fixtures)
from tests.lab.images import SMALL
from tests.lab.lab import Lab
from watchdog.core.observation import Api
from watchdog.host.docker import ApiError, DockerApi, NotFoundError

Serve = Callable[[Callable[[socket.socket], None]], str]
HEAD = b"HTTP/1.1 200 OK\r\nServer: Docker/20.10.24 (linux)\r\nApi-Version: 1.41\r\n"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server on a real socket that treats each connection in its own way."""
    path = str(tmp_path / "docker.sock")
    listening = socket.socket(socket.AF_UNIX)
    ended = threading.Event()

    def start(treat: Callable[[socket.socket], None]) -> str:
        listening.bind(path)
        listening.listen(5)

        def run() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    try:
                        treat(connection)
                    except OSError:
                        continue  # the client went away, as it should

        threading.Thread(target=run, daemon=True).start()
        return path

    yield start
    ended.set()
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def answer(body: bytes, status: bytes = b"200 OK") -> Callable[[socket.socket], None]:
    head = HEAD.replace(b"200 OK", status)
    return lambda connection: connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def state_of(question: Callable[[], object]) -> Api:
    with pytest.raises(ApiError) as caught:
        question()
    assert str(caught.value)
    return caught.value.state


def test_an_answer_is_taken_and_nothing_kept(serve: Serve) -> None:
    api = DockerApi(serve(answer(b'{"Driver": "overlay2"}')))
    with no_descriptor_kept():
        assert api.ping().server == "Docker/20.10.24 (linux)"
        assert api.info() == {"Driver": "overlay2"}
        assert api.has_image("localhost:5000/big:1")


def test_no_socket_is_absent_and_nobody_listening_is_refused(tmp_path: Path) -> None:
    assert state_of(DockerApi(str(tmp_path / "none")).ping) is Api.ABSENT
    with socket.socket(socket.AF_UNIX) as unused:
        unused.bind(str(tmp_path / "old.sock"))
        assert state_of(DockerApi(str(tmp_path / "old.sock")).ping) is Api.REFUSED


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_socket_that_is_not_for_us_is_forbidden(serve: Serve) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = f"{folder}/docker.sock"
        Path(serve(answer(b"OK"))).rename(path)
        Path(path).chmod(0o600)
        pid = os.fork()
        if pid == 0:
            try:
                os.setuid(65534)
                os._exit(0 if state_of(DockerApi(path).ping) is Api.FORBIDDEN else 1)
            finally:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0


def test_silence_ends_at_the_deadline(serve: Serve) -> None:
    path = serve(lambda connection: time.sleep(1.5))
    begun = time.monotonic()
    assert state_of(DockerApi(path, deadline_s=0.3).ping) is Api.SILENT
    assert time.monotonic() - begun < 1.2


def test_a_byte_now_and_then_does_not_move_the_deadline(serve: Serve) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        for _ in range(30):
            connection.sendall(b"x")
            time.sleep(0.05)

    begun = time.monotonic()
    assert state_of(DockerApi(serve(drip), deadline_s=0.3).info) is Api.SILENT
    assert time.monotonic() - begun < 1.2


def test_a_full_queue_is_silent(tmp_path: Path) -> None:
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(0)
        waiting: List[socket.socket] = []
        try:
            for _ in range(5):
                one = socket.socket(socket.AF_UNIX)
                waiting.append(one)
                one.setblocking(False)
                one.connect_ex(path)
            assert state_of(DockerApi(path, deadline_s=0.3).ping) is Api.SILENT
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 100, b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 fine\r\n\r\n"])
def test_who_does_not_speak_http_is_refused(serve: Serve, rubbish: bytes) -> None:
    assert state_of(DockerApi(serve(lambda connection: connection.sendall(rubbish)), 0.5).ping) is Api.REFUSED


def test_an_error_is_an_answer(serve: Serve) -> None:
    path = serve(answer(b'{"message":"no"}', b"500 Internal Server Error"))
    assert state_of(DockerApi(path).info) is Api.ANSWERS


def test_what_is_not_found_is_told_apart(serve: Serve) -> None:
    api = DockerApi(serve(answer(b'{"message":"No such image"}', b"404 Not Found")))
    assert not api.has_image("localhost:5000/big:1")
    with pytest.raises(NotFoundError):
        api.info()


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b"{", b"\xff"])
def test_an_answer_of_another_form_is_told(serve: Serve, body: bytes) -> None:
    assert state_of(DockerApi(serve(answer(body))).info) is Api.ANSWERS


def test_an_endless_answer_is_cut(serve: Serve) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n")
        for _ in range(2000):
            connection.sendall(b"x" * 65536)

    assert state_of(DockerApi(serve(pour), 10).info) is Api.ANSWERS


def test_events_come_in_pieces_and_the_end_is_told(serve: Serve) -> None:
    go_on = threading.Event()

    def tell(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + b'{"Action":"pu')
        go_on.wait(10)
        connection.sendall(b'll"}\n{"Action":"tag"}\nno json\n[]\n')

    stream = DockerApi(serve(tell)).events({"type": ["image"]})
    events: List[object] = []
    try:
        assert select.select([stream], [], [], 10)[0]
        assert stream.read() == []  # the head and half an event
        go_on.set()
        with pytest.raises(ApiError) as ended:
            while select.select([stream], [], [], 10)[0]:
                events += stream.read()
    finally:
        stream.close()
    assert ended.value.state is Api.REFUSED
    assert events == [{"Action": "pull"}, {"Action": "tag"}]


def test_events_that_are_refused_are_told(serve: Serve) -> None:
    stream = DockerApi(serve(answer(b"no", b"403 Forbidden"))).events({})
    try:
        select.select([stream], [], [], 10)
        assert state_of(stream.read) is Api.ANSWERS
    finally:
        stream.close()


@pytest.mark.lab
def test_a_real_dockerd_answers(lab: Lab) -> None:  # noqa: F811
    api = DockerApi(str(lab.dockerd.socket))
    assert api.ping().server.startswith("Docker/")
    assert api.peer_pid() == lab.dockerd.pid
    assert api.info()["DockerRootDir"] == str(lab.dockerd.data_root)
    assert "Engine" in [one["Name"] for one in api.version()["Components"]]
    reference = lab.registry.reference(SMALL)
    assert not api.has_image(reference)
    stream = api.events({"type": ["image"]})
    try:
        lab.pull(SMALL).wait()
        select.select([stream], [], [], 10)
        events = stream.read()
    finally:
        stream.close()
    assert [(one["Action"], one["Actor"]["ID"]) for one in events] == [("pull", reference)]
    assert api.has_image(reference)
    assert json.dumps(events)
