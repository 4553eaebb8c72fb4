"""act/socket_destroy: one connection ends, by its cookie, and no other."""

from __future__ import annotations

import os
import socket

import pytest

from tests.host.loopback import IPV4, IPV6, abort, inode_of, listening, pair
from watchdog.act.socket_destroy import destroy
from watchdog.errors import Refused, Unavailable
from watchdog.host import tcp
from watchdog.host.proc import Process
from watchdog.host.sock_diag import SOCK_DESTROY, SockDiag

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(autouse=True)
def _kernel_can() -> None:
    with pair() as one:
        try:
            destroy(cookie_of(one.ours), inode_of(one.ours))
        except Unavailable as error:
            pytest.skip(str(error))


def cookie_of(one: socket.socket) -> int:
    with Process(os.getpid()) as process:
        (cookie,) = (sample.cookie for sample in tcp.look(process).opened if sample.inode == inode_of(one))
    assert cookie is not None
    return cookie


@pytest.mark.parametrize("host", [IPV4, IPV6])
def test_the_connection_ends_on_both_sides(host: str) -> None:
    with pair(host) as one:
        destroy(cookie_of(one.ours), inode_of(one.ours))
        with pytest.raises(ConnectionAbortedError):
            one.ours.recv(1)
        one.peer.settimeout(5.0)
        with pytest.raises(ConnectionResetError):
            one.peer.recv(1)


def test_the_one_beside_it_to_the_same_peer_goes_on() -> None:
    with listening() as listener:
        pairs = [(socket.create_connection(listener.getsockname()), listener.accept()[0]) for _ in range(3)]
        destroy(cookie_of(pairs[1][0]), inode_of(pairs[1][0]))
        for ours, peer in (pairs[0], pairs[2]):
            peer.sendall(b"x")
            assert ours.recv(1) == b"x"
        for both in pairs:
            for one in both:
                one.close()


def test_a_wrong_cookie_or_inode_hits_nothing() -> None:
    with pair() as one:
        cookie, inode = cookie_of(one.ours), inode_of(one.ours)
        for wrong in ((cookie + 1, inode), (cookie, inode + 1), (0, inode)):
            with pytest.raises(Refused, match="gone"):
                destroy(*wrong)
        one.peer.sendall(b"x")
        assert one.ours.recv(1) == b"x"


def test_a_later_socket_on_the_same_ports_is_not_hit() -> None:
    with listening() as listener:
        first, later = socket.socket(), socket.socket()
        first.connect(listener.getsockname())
        first_peer = listener.accept()[0]
        cookie_of(first)
        with SockDiag() as diag:
            (stale,) = diag.tcp(frozenset({inode_of(first)}))
        port = first.getsockname()[1]
        abort(first)
        first_peer.close()
        later.bind(("127.0.0.1", port))
        later.connect(listener.getsockname())
        peer = listener.accept()[0]
        with later, peer:
            with SockDiag() as diag, pytest.raises(FileNotFoundError):
                diag.order(SOCK_DESTROY, stale)
            peer.sendall(b"x")
            assert later.recv(1) == b"x"


def test_a_socket_that_was_closed_meanwhile_is_told_as_gone() -> None:
    with pair() as one:
        cookie, inode = cookie_of(one.ours), inode_of(one.ours)
        one.ours.close()
        with pytest.raises(Refused, match="gone"):
            destroy(cookie, inode)
