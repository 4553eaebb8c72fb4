"""The fault proxy's own process: one request a connection, one thread a connection.

    proxy_server PORT UPSTREAM_PORT CONTROL ACCESSES READY

Every answer says "Connection: close", as dockerd's own requests do; so a
connection is a request, and its bytes are that answer's.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK_BYTES = 64 * 1024
HEAD_MAX_BYTES = 64 * 1024
BEFORE_HEAD = -1
ALWAYS = -1
UPSTREAM_DEADLINE_S = 60.0
POLL_S = 0.05
TLS_HELLO = b"\x16\x03"
NOT_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Rule = dict[str, Any]
PASS: Rule = {"ending": "none"}


class Book:
    """The rules with how often each was used, and the access log."""

    def __init__(self, control: Path, accesses: Path) -> None:
        self._control = control
        self._accesses = accesses
        self._lock = threading.Lock()
        self._text = ""
        self._rules: list[Rule] = []
        self._used: list[int] = []
        self._random: list[random.Random] = []

    def rules(self, method: str, path: str) -> list[int]:
        """The numbers of the rules that fit a request, as they stand now."""
        with self._lock:
            self._refresh()
            return [n for n, one in enumerate(self._rules) if one["method"] == method and one["path"] in path]

    def take(self, numbers: list[int], size_bytes: int | None) -> Rule:
        """The first of these that has uses left and fits the answer's size; it is used up by one."""
        with self._lock:
            for number in numbers:
                rule = self._rules[number] if number < len(self._rules) else PASS
                if rule is PASS or (size_bytes is not None and size_bytes < rule["size_at_least"]):
                    continue
                if rule["times"] == ALWAYS or self._used[number] < rule["times"]:
                    self._used[number] += 1
                    return {**rule, "after_bytes": self._after_bytes(number, rule)}
        return PASS

    def peek(self, numbers: list[int]) -> Rule:
        """What the first of these rules says before the answer is known; nothing is used up."""
        with self._lock:
            left = [
                self._rules[n]
                for n in numbers
                if self._rules[n]["times"] == ALWAYS or self._used[n] < self._rules[n]["times"]
            ]
        return left[0] if left else PASS

    def note(self, record: dict[str, Any]) -> None:
        """Add a line to the access log."""
        with self._lock, self._accesses.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _after_bytes(self, number: int, rule: Rule) -> int:
        if rule["upto_bytes"] is None:
            return int(rule["after_bytes"])
        return self._random[number].randint(rule["after_bytes"], rule["upto_bytes"])

    def _refresh(self) -> None:
        text = self._control.read_text()
        if text != self._text:
            self._text = text
            self._rules = json.loads(text)["rules"]
            self._used = [0] * len(self._rules)
            self._random = [random.Random(one["seed"]) for one in self._rules]


class Request:
    """One request from a client, from its first byte to the end of its answer."""

    def __init__(self, client: socket.socket, number: int, upstream_port: int, book: Book) -> None:
        self._client = client
        self._upstream_port = upstream_port
        self._book = book
        self._begin = time.monotonic()
        self._record: dict[str, Any] = {"number": number, "client_port": client.getpeername()[1]}

    def serve(self) -> None:
        """Answer it, well or badly."""
        head, rest = read_head(self._client)
        if not head:
            with contextlib.suppress(OSError):
                self._client.sendall(NOT_HTTP)  # dockerd tries TLS first, and waits 10 s for an answer
            return
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        method, path, _ = line.split(" ", 2)
        wanted = re.search(rb"\r\nRange: *bytes=(\d+)-", head, re.IGNORECASE)
        self._record.update(
            method=method, path=path, at_s=self._begin, range_from=int(wanted[1]) if wanted else None
        )
        self._book.note(self._record)
        ending = "broken"
        try:
            ending = self._answer(method, path, head, rest)
        except OSError as error:
            ending = f"broken: {error}"
        finally:
            self._record.update(ending=ending, seconds=time.monotonic() - self._begin)
            self._book.note(self._record)

    def _answer(self, method: str, path: str, head: bytes, rest: bytes) -> str:
        numbers = self._book.rules(method, path)
        first = self._book.peek(numbers)
        if first.get("status") is not None or first.get("after_bytes") == BEFORE_HEAD:
            return self._answer_alone(self._book.take(numbers, None), head, rest)
        if first.get("upload_bytes") is not None:
            return self._cut_upload(self._book.take(numbers, None), rest)
        if first.get("ignore_range"):
            head = re.sub(rb"\r\nRange: [^\r]*", b"", head, flags=re.IGNORECASE)
        with socket.create_connection(("127.0.0.1", self._upstream_port), UPSTREAM_DEADLINE_S) as upstream:
            upstream.sendall(closing(head) + rest)
            with passing_on(self._client, upstream):
                return self._relay(numbers, upstream)

    def _answer_alone(self, rule: Rule, head: bytes, rest: bytes) -> str:
        """An answer without asking upstream, or none at all."""
        if rule["status"] is None:
            self._wait_for_client()
            return "stall"
        drain_body(self._client, head, rest)
        time.sleep(rule["delay_s"])
        body = rule["body"].encode()
        answer = f"HTTP/1.1 {rule['status']} Fault\r\nContent-Type: {rule['content_type']}\r\n"
        self._client.sendall(
            f"{answer}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        self._record.update(status=rule["status"], sent_bytes=len(body))
        return "none"

    def _cut_upload(self, rule: Rule, rest: bytes) -> str:
        taken = 0
        # A small buffer, so that the sender sees the rate and not only we.
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK_BYTES)
        for chunk in paced(chunks(self._client, rest), rule.get("rate_bytes_per_s")):
            taken += len(chunk)
            if taken >= rule["upload_bytes"]:
                return self._end("reset")
        return "client left"

    def _relay(self, numbers: list[int], upstream: socket.socket) -> str:
        head, body = read_head(upstream)
        if not head:
            return "upstream closed"
        length = re.search(rb"\r\nContent-Length: *(\d+)", head, re.IGNORECASE)
        rule = self._book.take(numbers, int(length[1]) if length else 0)
        self._record["status"] = int(head.split(b" ", 2)[1])
        time.sleep(rule.get("delay_s", 0.0))
        self._client.sendall(closing(head))
        self._book.note(self._record)  # a client that reads no more would keep us from its end
        sent = 0
        for chunk in paced(chunks(upstream, body), rule.get("rate_bytes_per_s")):
            left = self._left(rule, sent)
            self._client.sendall(chunk[:left])
            sent += len(chunk[:left])
            self._record["sent_bytes"] = sent
            if left is not None and len(chunk) >= left:
                return self._end(rule["ending"])
        return "none"

    def _left(self, rule: Rule, sent: int) -> int | None:
        """How many more bytes may go before the rule's ending; None: as many as there are."""
        if rule["ending"] == "none":
            return None
        if rule["after_s"] is not None:
            return 0 if time.monotonic() - self._begin >= rule["after_s"] else None
        return max(0, rule["after_bytes"] - sent)

    def _end(self, ending: str) -> str:
        if ending == "stall":
            self._record["ending"] = "stalled"
            self._book.note(self._record)
            self._wait_for_client()
        elif ending == "reset":
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return ending

    def _wait_for_client(self) -> None:
        """Take what it still sends, until it leaves."""
        self._client.settimeout(None)
        with contextlib.suppress(OSError):
            while self._client.recv(CHUNK_BYTES):
                pass


def read_head(one: socket.socket) -> tuple[bytes, bytes]:
    """The head of a message with its empty line, and what came after it; empty when it is none."""
    text = b""
    while b"\r\n\r\n" not in text:
        chunk = one.recv(CHUNK_BYTES)
        text += chunk
        if not chunk or text.startswith(TLS_HELLO) or len(text) > HEAD_MAX_BYTES:
            return b"", b""
    head, _, rest = text.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def closing(head: bytes) -> bytes:
    """The head with `Connection: close`."""
    plain = re.sub(rb"\r\nConnection: [^\r]*", b"", head, flags=re.IGNORECASE)
    return plain[:-2] + b"Connection: close\r\n\r\n"


def drain_body(one: socket.socket, head: bytes, rest: bytes) -> None:
    """Take in the body of a request: an answer in the middle of one would be lost in a reset."""
    length = re.search(rb"\r\nContent-Length: *(\d+)", head, re.IGNORECASE)
    missing = int(length[1]) - len(rest) if length else 0
    chunked = b"chunked" in head.lower()
    while missing > 0 or (chunked and not rest.endswith(b"0\r\n\r\n")):
        chunk = one.recv(CHUNK_BYTES)
        if not chunk:
            return
        missing -= len(chunk)
        rest = rest[-8:] + chunk


@contextlib.contextmanager
def passing_on(source: socket.socket, sink: socket.socket) -> Iterator[None]:
    """Copy what the client still sends, as long as the block runs; its end ends the request upstream.

    The thread has ended after the block: a socket that is waited at by another
    thread sends neither FIN nor RST when it is closed.
    """
    over = threading.Event()

    def copy() -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                if select.select([source], [], [], POLL_S)[0]:
                    chunk = source.recv(CHUNK_BYTES)
                    if not chunk:
                        sink.shutdown(socket.SHUT_RDWR)
                        return
                    sink.sendall(chunk)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def chunks(source: socket.socket, first: bytes) -> Iterator[bytes]:
    if first:
        yield first
    while chunk := source.recv(CHUNK_BYTES):
        yield chunk


def paced(pieces: Iterator[bytes], rate_bytes_per_s: int | None) -> Iterator[bytes]:
    """The same bytes, ten times a second so many that the rate is kept."""
    if rate_bytes_per_s is None:
        yield from pieces
        return
    step = max(1, rate_bytes_per_s // 10)
    for piece in pieces:
        for at in range(0, len(piece), step):
            yield piece[at : at + step]
            time.sleep(len(piece[at : at + step]) / rate_bytes_per_s)


def serve(client: socket.socket, number: int, upstream_port: int, book: Book) -> None:
    with client, contextlib.suppress(OSError):
        Request(client, number, upstream_port, book).serve()


def main() -> None:
    port, upstream_port = (int(text) for text in sys.argv[1:3])
    control, accesses, ready = (Path(text) for text in sys.argv[3:6])
    book = Book(control, accesses)
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        ready.touch()
        for number in itertools.count():
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, number, upstream_port, book), daemon=True).start()


if __name__ == "__main__":
    main()
