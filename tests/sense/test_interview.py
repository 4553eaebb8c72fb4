"""sense/interview: how many questions in a row had no answer, and that they come ever more rarely."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.core.observation import Api
from watchdog.sense.interview import Interview

SECOND_NS = 1_000_000_000
PONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Takes connections, and answers nobody."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.bind(str(tmp_path / "api.sock"))
        one.listen(16)
        yield one


def answer_one(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(PONG)


def test_questions_without_an_answer_are_counted_and_come_ever_more_rarely(
    listener: socket.socket, tmp_path: Path
) -> None:
    talk = Interview(str(tmp_path / "api.sock"))
    counts = []
    for second in range(0, 40, 5):
        talk.ask(second * SECOND_NS, stopped=False)
        counts.append(talk.unanswered)
    assert talk.state is Api.SILENT
    assert counts == [1, 1, 2, 2, 2, 2, 3, 3]


def test_one_answer_ends_the_silence(listener: socket.socket, tmp_path: Path) -> None:
    talk = Interview(str(tmp_path / "api.sock"))
    talk.ask(0, stopped=False)
    listener.accept()[0].close()  # the question that nobody answered, in its queue still
    thread = threading.Thread(target=lambda: [answer_one(listener) for _ in range(2)], daemon=True)
    thread.start()
    talk.ask(60 * SECOND_NS, stopped=False)
    assert talk.state is Api.ANSWERS and talk.unanswered == 0


def test_nobody_there_is_no_silence(tmp_path: Path) -> None:
    talk = Interview(str(tmp_path / "none.sock"))
    talk.ask(0, stopped=False)
    assert talk.state is Api.ABSENT and talk.unanswered == 0
