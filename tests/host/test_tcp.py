"""host/tcp: the connections of a process on the real kernel, in this network and in another."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, wait_until
from tests.host.loopback import IPV4, IPV6, Pair, abort, holder, inode_of, listening, pair
from watchdog.core.observation import ConnectionSample
from watchdog.core.tcp import CLOSE_WAIT, ESTABLISHED
from watchdog.errors import Deadline, ProcessGone
from watchdog.host import tcp
from watchdog.host.proc import Process
from watchdog.host.sock_diag import SockDiag
from watchdog.host.tcp_info import parse_tcp_info
from watchdog.host.tcp_table import Row, parse_table

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def ours_of(one: Pair) -> ConnectionSample:
    """What is seen of our end of a connection."""
    with Process(os.getpid()) as process:
        found = {sample.inode: sample for sample in tcp.look(process).opened}
    return found[inode_of(one.ours)]


@pytest.mark.parametrize("host", [IPV4, IPV6])
def test_a_connection_is_seen_with_both_ends_and_its_bytes(host: str) -> None:
    with pair(host) as one:
        one.ours.sendall(b"GET")
        one.peer.sendall(b"x" * 1000)
        seen = wait_until(lambda: ours_of(one).received_bytes and ours_of(one))
        assert isinstance(seen, ConnectionSample)
        assert seen.local == tcp.address(one.ours.getsockname()[:2])
        assert seen.remote == tcp.address(one.ours.getpeername()[:2])
        assert (seen.state, seen.received_bytes, seen.receive_queue_bytes) == (ESTABLISHED, 1000, 1000)
        assert seen.acked_bytes == 4  # the handshake counts as one
        assert seen.cookie


def test_before_the_first_byte_nobody_knows_how_long_the_peer_was_silent() -> None:
    with pair() as one:
        time.sleep(0.05)
        before = ours_of(one)
        assert (before.received_bytes, before.silent_ns) == (0, None)
        one.peer.sendall(b"x")
        after = ours_of(one)
        assert after.silent_ns is not None and after.silent_ns < 10_000_000_000


def test_silence_grows_and_ends_with_the_next_byte() -> None:
    with pair() as one:
        one.peer.sendall(b"x")
        time.sleep(0.3)
        silent = ours_of(one).silent_ns
        assert silent is not None and silent >= 250_000_000
        one.peer.sendall(b"x")
        assert (ours_of(one).silent_ns or 0) < silent


def test_what_was_read_is_no_longer_in_the_queue() -> None:
    with pair() as one:
        one.peer.sendall(b"x" * 1000)
        assert ours_of(one).receive_queue_bytes == 1000
        one.ours.recv(1000)
        assert ours_of(one).receive_queue_bytes == 0


def test_a_peer_that_closed_leaves_another_state() -> None:
    with pair() as one:
        assert ours_of(one).state == ESTABLISHED
        one.peer.close()
        wait_until(lambda: ours_of(one).state == CLOSE_WAIT)


def test_connections_that_came_in_are_none_that_the_process_opened(spawn: Spawn) -> None:
    with listening() as listener:
        pid, ports = holder(spawn, IPV4, listener.getsockname()[1], 2)
        accepted = [listener.accept()[0] for _ in ports]
        with Process(pid) as theirs, Process(os.getpid()) as ours:
            locals_ = {one.local for one in tcp.look(theirs).opened}
            assert locals_ == {f"127.0.0.1:{port}" for port in ports}
            came_in = {inode_of(one) for one in accepted}
            assert not came_in & {one.inode for one in tcp.look(ours).opened}
        for one in accepted:
            one.close()


def test_sockets_of_other_processes_are_not_ours(spawn: Spawn) -> None:
    with listening() as listener:
        pid, ports = holder(spawn, IPV4, listener.getsockname()[1], 3)
        child = spawn("sleep", "60")
        with Process(pid) as process, Process(child.pid) as other:
            assert len(tcp.look(process).opened) == len(ports)
            assert tcp.look(other) == tcp.TcpLook((), complete=True)


def test_the_cookie_stays_and_a_later_socket_on_the_same_ports_has_another() -> None:
    with listening() as listener:
        target = listener.getsockname()
        cookies = []
        for _ in range(2):
            ours = socket.socket()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ours.bind(("127.0.0.1", cookies[0][0] if cookies else 0))
            ours.connect(target)
            peer = listener.accept()[0]
            with Process(os.getpid()) as process:
                looks = [tcp.look(process).opened for _ in range(2)]
            found = {one.cookie for seen in looks for one in seen if one.inode == inode_of(ours)}
            assert len(found) == 1
            cookies.append((ours.getsockname()[1], found.pop()))
            abort(ours)
            peer.close()
    assert cookies[0][0] == cookies[1][0] and cookies[0][1] != cookies[1][1]


@needs_root
@pytest.mark.parametrize("host", [IPV4, IPV6])
def test_in_another_network_the_same_is_seen_without_entering_it(spawn: Spawn, host: str) -> None:
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "-")
    pid, ports = holder(spawn, host, 0, 2, *alone)
    here = os.readlink("/proc/self/ns/net")
    with no_descriptor_kept(), Process(pid) as process:
        assert not tcp.shares_our_network(process)
        held = tcp.sockets_of(process)
        with SockDiag() as diag:
            assert diag.tcp(frozenset(held)) == []  # the table of our own network does not have them
        seen = tcp.look(process)
    assert seen.complete and {one.local for one in seen.opened} == {tcp.address((host, one)) for one in ports}
    assert all(one.cookie and one.received_bytes == 0 and one.acked_bytes == 1 for one in seen.opened)
    assert os.readlink("/proc/self/ns/net") == here


@needs_root
def test_both_ways_of_looking_see_the_same(spawn: Spawn) -> None:
    with listening() as listener:
        pid, _ = holder(spawn, IPV4, listener.getsockname()[1], 3)
        accepted = [listener.accept()[0] for _ in range(3)]
        accepted[1].sendall(b"x" * 77)
        with Process(pid) as process:
            held = tcp.sockets_of(process)
            table = tcp._by_table(frozenset(held), 2.0).opened
            text = tcp._by_text(process, held, 2.0).opened
        for one in accepted:
            one.close()

    def stable(one: ConnectionSample) -> tuple[object, ...]:
        return one.inode, one.cookie, one.local, one.remote, one.state, one.received_bytes, one.acked_bytes

    assert sorted(map(stable, table)) == sorted(map(stable, text))
    assert sorted(one.receive_queue_bytes for one in text) == [0, 0, 77]


def test_too_many_are_told_and_the_newest_are_kept(spawn: Spawn) -> None:
    with listening(backlog=400) as listener:
        more = tcp.MOST_CONNECTIONS + 40
        pid, ports = holder(spawn, IPV4, listener.getsockname()[1], more)
        accepted = [listener.accept()[0] for _ in range(more)]
        with Process(pid) as process:
            seen = tcp.look(process)
            once_s = min(_timed(process) for _ in range(5))
        for one in accepted:
            one.close()
    assert not seen.complete and len(seen.opened) == tcp.MOST_CONNECTIONS
    assert f"127.0.0.1:{ports[-1]}" in {one.local for one in seen.opened}
    assert f"127.0.0.1:{ports[0]}" not in {one.local for one in seen.opened}
    assert once_s < 0.5  # some 7 ms on a quiet machine, 100 ms on an emulated one


def _timed(process: Process) -> float:
    begin = time.perf_counter()
    tcp.look(process)
    return time.perf_counter() - begin


def test_a_process_that_has_ended_is_gone(spawn: Spawn) -> None:
    child = spawn("sleep", "60")
    with no_descriptor_kept(), Process(child.pid) as process:
        child.kill()
        child.wait()
        with pytest.raises(ProcessGone):
            tcp.look(process)


def test_no_time_is_a_deadline() -> None:
    with pair(), Process(os.getpid()) as process, pytest.raises(Deadline):
        tcp.look(process, deadline_s=0.0)


# --- parsers, on recorded bytes ---------------------------------------------------

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tcp"
TABLE = (FIXTURES / "proc_net_tcp.txt").read_bytes()
TABLE6 = (FIXTURES / "proc_net_tcp6.txt").read_bytes()


def test_the_text_form_is_parsed() -> None:
    assert list(parse_table(TABLE, frozenset({467588, 1}))) == [
        Row(("127.0.0.1", 53806), ("127.0.0.1", 5101), ESTABLISHED, 0, 124588, 467588)
    ]
    assert list(parse_table(TABLE6, frozenset({467591}))) == [
        Row(("::1", 40766), ("::1", 5102), ESTABLISHED, 0, 0, 467591)
    ]


def test_a_text_that_was_cut_off_gives_its_whole_rows_only() -> None:
    cut = TABLE[: TABLE.index(b"467588")]
    assert [one.inode for one in parse_table(cut, frozenset({467587, 467588}))] == [467587]


def test_counters_that_an_old_kernel_has_not_are_unknown() -> None:
    info = parse_tcp_info(bytes([1]) + bytes(103))
    assert (info.state, info.received_bytes, info.acked_bytes, info.silent_ns) == (1, None, None, None)
    assert parse_tcp_info(bytes([1]) + bytes(231)).received_bytes == 0
