"""The kernel's table of TCP sockets, asked over netlink (sock_diag).

Law: the whole table is read without details, and only the sockets that are
wanted are then asked for theirs, one by one: to report the details of a socket
the kernel takes its lock, and other people's sockets are none of our business.

Sees the network namespace that we live in and no other.  Needs no privilege.
Records: struct inet_diag_req_v2 and struct inet_diag_msg of linux/inet_diag.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import FrozenSet, Iterator, List, Optional, Tuple, Type

from watchdog.errors import Deadline, Unavailable
from watchdog.host.tcp_info import TcpInfo, parse_tcp_info

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
SOCK_DESTROY = 21
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_INFO = 2  # INET_DIAG_INFO: struct tcp_info
_ANY_STATE = 0xFFFFFFFF & ~(1 << 6)  # but TIME_WAIT, which belongs to no process

_netlink_header = struct.Struct("=IHHII")
_question = struct.Struct("=BBBxI")  # family, protocol, extensions, states; then the identity
_head = struct.Struct("=BBBB")  # family, state, timer, retransmits
_ports = struct.Struct("!HH")
_tail = struct.Struct("=IIIII")  # expires, receive queue, send queue, uid, inode
_attribute = struct.Struct("=HH")
_IDENTITY_AT, _TAIL_AT, _ATTRIBUTES_AT = 4, 52, 72
_COOKIE_AT = 40  # in the identity
_ANY_IDENTITY = bytes(_TAIL_AT - _IDENTITY_AT)

_RECEIVE_BYTES = 1 << 17


@dataclass(frozen=True)
class Entry:
    """A socket in the kernel's table.

    `identity` is its struct inet_diag_sockid: both ends, and the cookie that no
    later socket on the same ports has.
    """

    family: int
    state: int
    receive_queue_bytes: int
    send_queue_bytes: int
    inode: int
    identity: bytes

    @property
    def cookie(self) -> int:
        return int(struct.unpack_from("=Q", self.identity, _COOKIE_AT)[0])

    @property
    def local(self) -> Tuple[str, int]:
        """Address and port of our end."""
        return self._address(4), _ports.unpack_from(self.identity)[0]

    @property
    def remote(self) -> Tuple[str, int]:
        """Address and port of the peer."""
        return self._address(20), _ports.unpack_from(self.identity)[1]

    def _address(self, at: int) -> str:
        size = 4 if self.family == socket.AF_INET else 16
        return socket.inet_ntop(self.family, self.identity[at : at + size])


class SockDiag:
    """A netlink socket to ask with; use it in a `with` block.

    `deadline_s` is for all questions together.  Every method raises Unavailable,
    and Deadline when the kernel takes longer.
    """

    def __init__(self, deadline_s: float = 2.0) -> None:
        self._ends_at = time.monotonic() + deadline_s
        self._number = 0
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise Unavailable(f"the kernel's socket table cannot be asked: {error.strerror}") from error

    def __enter__(self) -> SockDiag:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._socket.close()

    def tcp(self, inodes: FrozenSet[int]) -> List[Entry]:
        """The TCP sockets with these inodes, listening ones too, IPv4 first."""
        found: List[Entry] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            self._ask(_SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, family, 0, _ANY_IDENTITY)
            found += [_entry(body) for body in self._answers() if _inode(body) in inodes]
        return found

    def details(self, entry: Entry) -> Optional[Tuple[Entry, TcpInfo]]:
        """That very socket now, with its counters; None when it is gone."""
        self._ask(_SOCK_DIAG_BY_FAMILY, _REQUEST, entry.family, 1 << (_INFO - 1), entry.identity)
        try:
            body = next(self._answers())
        except FileNotFoundError:
            return None
        info = _find_attribute(body, _INFO)
        return (_entry(body), parse_tcp_info(info)) if info is not None else None

    def order(self, command: int, entry: Entry) -> None:
        """Give the kernel an order about one socket; raises the OSError that it answers."""
        self._ask(command, _REQUEST | _ACK, entry.family, 0, entry.identity)
        for _ in self._answers():
            pass

    def _ask(self, what: int, flags: int, family: int, extensions: int, identity: bytes) -> None:
        self._number += 1
        body = _question.pack(family, socket.IPPROTO_TCP, extensions, _ANY_STATE) + identity
        size = _netlink_header.size + len(body)
        self._socket.send(_netlink_header.pack(size, what, flags, self._number, 0) + body)

    def _answers(self) -> Iterator[bytes]:
        """The bodies of the answers to the last question, to its last."""
        while True:
            packet = self._receive()
            at = 0
            while at + _netlink_header.size <= len(packet):
                size, what, flags, number, _ = _netlink_header.unpack_from(packet, at)
                body = packet[at + _netlink_header.size : at + size]
                at += max((size + 3) & ~3, _netlink_header.size)
                if number != self._number:
                    continue  # the rest of an answer that was not read to its end
                if what == _NLMSG_DONE:
                    return
                if what == _NLMSG_ERROR:
                    _raise_error(body)
                    return
                yield body
                if not flags & 0x2:  # NLM_F_MULTI: more to come
                    return

    def _receive(self) -> bytes:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise Deadline("the kernel's socket table was not read in time")
        self._socket.settimeout(left_s)
        try:
            return self._socket.recv(_RECEIVE_BYTES)
        except socket.timeout:
            raise Deadline("the kernel did not tell its sockets in time") from None
        except OSError as error:
            raise Unavailable(f"the kernel's socket table cannot be read: {error.strerror}") from error


def _raise_error(body: bytes) -> None:
    """Raise what an error message says; code 0 is an acknowledgement.

    ENOENT, "no such socket", stays an OSError: it is an answer.
    """
    code = -int(struct.unpack_from("=i", body)[0])
    if code == 0:
        return
    if code in (errno.ENOENT, errno.ESTALE):
        raise FileNotFoundError(errno.ENOENT, "no such socket")
    raise Unavailable(f"the kernel refuses the question about its sockets: {os.strerror(code)}")


def _inode(body: bytes) -> int:
    return int(struct.unpack_from("=I", body, _TAIL_AT + 16)[0])


def _entry(body: bytes) -> Entry:
    family, state, _, _ = _head.unpack_from(body)
    _, received, sent, _, inode = _tail.unpack_from(body, _TAIL_AT)
    return Entry(family, state, received, sent, inode, body[_IDENTITY_AT:_TAIL_AT])


def _find_attribute(body: bytes, wanted: int) -> Optional[bytes]:
    at = _ATTRIBUTES_AT
    while at + _attribute.size <= len(body):
        size, kind = _attribute.unpack_from(body, at)
        if kind == wanted:
            return body[at + _attribute.size : at + size]
        at += max((size + 3) & ~3, _attribute.size)
    return None
