"""TCP life: attributed to the process that opened the connection, and to nobody else."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from contextlib import contextmanager
from typing import Iterator, List, Tuple

import pytest

from tests.host.bpf.engines import WITH_PROBES, collect, ended, opened
from watchdog.core.observation import TcpEvent
from watchdog.host.bpf import Engine, Event, Sees

pytestmark = [pytest.mark.bpf, pytest.mark.usefixtures("probes")]

SYN_SENT, ESTABLISHED, CLOSE = 2, 1, 7

# Connects, says from which port, then does what it was told when it gets a line.
CLIENT = """
import socket, struct, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
print(connection.getsockname()[1], flush=True)
sys.stdin.readline()
if sys.argv[3] == "read":
    try:
        connection.recv(1)
    except ConnectionResetError:
        pass
else:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
"""

LOSER = """
import fcntl, socket, struct, time
def loopback(up):
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", int(up)))  # SIOCSIFFLAGS, IFF_UP
loopback(True)
listener = socket.create_server(("127.0.0.1", 0))
connection = socket.create_connection(listener.getsockname())
loopback(False)
connection.send(b"nobody hears this")
time.sleep(3.2)
information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
print(struct.unpack_from("=I", information, 100)[0])  # tcpi_total_retrans
"""


@pytest.fixture(scope="module", params=WITH_PROBES)
def engine(request: pytest.FixtureRequest, probes: object) -> Iterator[Engine]:
    with opened(request.param) as opening:
        assert Sees.TCP in opening.engine.sees
        yield opening.engine


@contextmanager
def listening(address: str = "127.0.0.1", backlog: int = 8) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.settimeout(10)
        listener.bind((address, 0))
        listener.listen(backlog)
        yield listener


@contextmanager
def client(listener: socket.socket, deed: str) -> Iterator[subprocess.Popen[str]]:
    """A child of ours that connects as soon as we let it."""
    address, port = listener.getsockname()[:2]
    argv = ["/usr/bin/python3", "-I", "-c", CLIENT, address, str(port), deed]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def run(engine: Engine, address: str, deed: str) -> Tuple[int, int, int, List[TcpEvent]]:
    """A watched child connects; one of the two ends resets.  Its pid, both ports and what was seen."""
    engine.watch(os.getpid())
    with listening(address) as listener, client(listener, deed) as process:
        engine.unwatch(os.getpid())
        connection = listener.accept()[0]
        assert process.stdout is not None
        local_port = int(process.stdout.readline())
        if deed == "read":
            reset(connection)
        tell(process)
        events = tcp(collect(engine, ended(process.pid)))
        connection.close()
        return process.pid, local_port, listener.getsockname()[1], events


def tcp(events: List[Event]) -> List[TcpEvent]:
    return [event for event in events if isinstance(event, TcpEvent)]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_connect_and_reset_by_the_peer(engine: Engine, address: str) -> None:
    pid, local_port, remote_port, events = run(engine, address, "read")
    assert [(event.what, event.old_state, event.new_state) for event in events] == [
        ("state", CLOSE, SYN_SENT),
        ("state", SYN_SENT, ESTABLISHED),
        ("reset_received", 0, 0),
        ("state", ESTABLISHED, CLOSE),
    ]
    assert {event.pid for event in events} == {pid}
    assert {event.remote_port for event in events} == {remote_port}
    assert {event.local_port for event in events[1:]} == {local_port}
    assert {event.remote_address for event in events} == {address}
    assert len({event.socket for event in events}) == 1


def test_a_reset_of_our_own_comes_after_close(engine: Engine) -> None:
    pid, local_port, _, events = run(engine, "127.0.0.1", "reset")
    assert [event.what for event in events] == ["state", "state", "state", "reset_sent"]
    assert events[2].new_state == CLOSE
    assert (events[3].pid, events[3].local_port) == (pid, local_port)


def test_connections_of_others_are_not_seen(engine: Engine) -> None:
    """Nor a connection that a watched process accepts: it was opened by somebody else."""
    with listening() as listener, client(listener, "read") as process:
        engine.watch(os.getpid())
        reset(listener.accept()[0])
        tell(process)
        process.wait(timeout=10)
        engine.unwatch(os.getpid())
        assert tcp(collect(engine, lambda _: False, 0.3)) == []


def test_a_socket_address_that_is_used_again_is_not_mistaken(engine: Engine) -> None:
    """The kernel reuses the memory of a closed socket at once, here for a process that nobody watches."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen
        seen = [event for _ in range(8) for event in run(engine, "127.0.0.1", "read")[-1]]
        assert len({event.socket for event in seen}) < 8  # it does
        for _ in range(100):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(silent.getsockname(), timeout=5)
    for _ in range(100):
        with listening() as listener, socket.create_connection(listener.getsockname(), timeout=5):
            reset(listener.accept()[0])
    assert tcp(collect(engine, lambda _: False, 0.3)) == []


def test_a_connect_that_nobody_answers(engine: Engine) -> None:
    """A listener whose queue is full drops the SYN, which is then sent again after 1 s."""
    with listening(backlog=0) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        engine.watch(os.getpid())
        with client(listener, "read") as process:
            engine.unwatch(os.getpid())
            events = collect(engine, lambda seen: any(event.what == "retransmit" for event in seen), 8.0)
    seen = tcp(events)
    assert [event.what for event in seen] == ["state", "retransmit"]
    assert {event.pid for event in seen} == {process.pid}


def test_a_lossy_path_is_told_once_a_second(engine: Engine) -> None:
    """The child cuts its own network and counts what its kernel sent again, at 0.2, 0.6, 1.4 s and so on."""
    argv = ["unshare", "--net", "/usr/bin/python3", "-I", "-c", LOSER]
    engine.watch(os.getpid())
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        engine.unwatch(os.getpid())
        events = tcp(collect(engine, ended(process.pid)))
        assert process.stdout is not None
        sent_again = int(process.stdout.read())
    told = [event.at_ns for event in events if event.what == "retransmit"]
    assert 2 <= len(told) < sent_again
    assert all(later - earlier >= 1_000_000_000 for earlier, later in zip(told, told[1:]))
