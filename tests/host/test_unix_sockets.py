"""host/unix_sockets: who listens and who is connected, on real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, wait_until
from watchdog.host import unix_sockets
from watchdog.host.proc import Process, identify

CLIENT = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
sys.stdin.read(1); s.close(); sys.stdin.read(1)
"""


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen(5)
        yield server


def path_of(server: socket.socket) -> str:
    return str(server.getsockname())


def inode_of(one: socket.socket) -> int:
    return os.fstat(one.fileno()).st_ino


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 2, 1, 0) + payload


def row(state: int, inode: int, *attributes: bytes) -> bytes:
    return struct.pack("=BBBBIII", 1, 1, state, 0, inode, 0, 0) + b"".join(attributes)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_rows_and_the_end_are_parsed_also_in_one_message() -> None:
    listens = row(10, 7, attribute(1, struct.pack("=II", 5, 8 << 20 | 1)), attribute(6, b"\0"))
    connected = row(1, 8, attribute(2, struct.pack("=I", 90)), attribute(6, b"\0"))
    closed = row(1, 9, attribute(2, struct.pack("=I", 91)), attribute(6, b"\3"))
    rows = message(20, listens) + message(20, connected) + message(20, closed)
    sockets = [
        unix_sockets.UnixSocket(7, 10, (os.makedev(8, 1), 5), None),
        unix_sockets.UnixSocket(8, 1, None, 90),
        unix_sockets.UnixSocket(9, 1, None, None),
    ]
    assert unix_sockets.parse_dump(rows) == (sockets, False)
    assert unix_sockets.parse_dump(rows + message(3, bytes(4))) == (sockets, True)


def test_the_kernels_error_is_raised() -> None:
    with pytest.raises(FileNotFoundError):
        unix_sockets.parse_dump(message(2, struct.pack("=i", -2)))


def test_a_listener_is_found_by_its_file(listening: socket.socket) -> None:
    assert unix_sockets.listener(path_of(listening)) == inode_of(listening)
    with Process(os.getpid()) as process:
        assert unix_sockets.holds(process, inode_of(listening))


def test_an_old_socket_of_that_name_is_not_taken_for_it(listening: socket.socket) -> None:
    path = Path(path_of(listening))
    path.unlink()
    assert unix_sockets.listener(str(path)) is None
    with socket.socket(socket.AF_UNIX) as newer:
        newer.bind(str(path))
        assert unix_sockets.listener(str(path)) is None  # bound, and does not listen
        newer.listen(1)
        assert unix_sockets.listener(str(path)) == inode_of(newer)


def test_a_path_without_a_socket_has_no_listener(tmp_path: Path) -> None:
    assert unix_sockets.listener(str(tmp_path)) is None
    assert unix_sockets.listener("/no/such/socket") is None


def test_a_client_is_seen_while_it_is_connected_and_after_it_hung_up(
    listening: socket.socket, spawn: Spawn
) -> None:
    child = spawn(sys.executable, "-c", CLIENT, path_of(listening), stdin=subprocess.PIPE)
    assert child.stdin is not None
    accepted, _ = listening.accept()
    key = identify(child.pid)
    connections = unix_sockets.Connections(path_of(listening))
    with accepted, no_descriptor_kept(), Process(os.getpid()) as process:
        assert connections.clients(process) == {key: True}
        child.stdin.write(b"x")
        child.stdin.flush()
        wait_until(lambda: connections.clients(process) == {key: False})
        child.kill()
        child.wait()
        assert connections.clients(process) == {}


def test_a_client_of_another_socket_is_not_ours(
    listening: socket.socket, tmp_path: Path, spawn: Spawn
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen(1)
        child = spawn(sys.executable, "-c", CLIENT, path_of(other), stdin=subprocess.PIPE)
        accepted, _ = other.accept()
        with accepted, Process(os.getpid()) as process:
            assert unix_sockets.Connections(path_of(other)).clients(process) == {identify(child.pid): True}
            assert unix_sockets.Connections(path_of(listening)).clients(process) == {}


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare")
def test_a_client_in_another_network_namespace_is_seen(listening: socket.socket, spawn: Spawn) -> None:
    child = spawn("unshare", "-n", sys.executable, "-c", CLIENT, path_of(listening), stdin=subprocess.PIPE)
    accepted, _ = listening.accept()
    with accepted, Process(os.getpid()) as process:
        clients = unix_sockets.Connections(path_of(listening)).clients(process)
    assert clients == {identify(child.pid): True}


def test_a_connection_that_was_looked_at_still_ends_for_its_client(listening: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path_of(listening))
        accepted, _ = listening.accept()
        with Process(os.getpid()) as process:
            unix_sockets.Connections(path_of(listening)).clients(process)
        accepted.close()
        client.settimeout(5)
        assert client.recv(1) == b""
