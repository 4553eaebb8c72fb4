"""The TCP connections of one process: to whom, how many bytes, how long silent.

Law: one look is bounded in time and in number, and says when it left something
out.  In our own network namespace the kernel's socket table is asked.  In
another one it cannot be asked without entering it; there, and where netlink is
forbidden, the text of /proc/PID/net/tcp tells who is connected, and a duplicate
of the socket, closed in the function that took it, tells its counters.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, List, Optional, Set, Tuple, TypeVar

from watchdog.core.observation import ConnectionSample
from watchdog.core.tcp import LISTEN
from watchdog.errors import Deadline, Unavailable
from watchdog.host import pipes
from watchdog.host.proc import Process
from watchdog.host.sock_diag import Entry, SockDiag
from watchdog.host.tcp_info import TcpInfo, parse_tcp_info
from watchdog.host.tcp_table import Row, parse_table

MOST_CONNECTIONS = 256
DEADLINE_S = 2.0

_SOCKET = "socket:["
_MOST_TEXT_BYTES = 8 << 20  # some 50,000 sockets
_SO_COOKIE = 57
_TCP_INFO_BYTES = 256

_End = Tuple[str, int]
_Socket = TypeVar("_Socket", Entry, Row)


@dataclass(frozen=True)
class TcpLook:
    """What one look at a process' sockets found.

    `opened`: connections that the process opened itself; those that came in at
    a port on which it listens are no download's.  `complete`: none is missing.
    """

    opened: Tuple[ConnectionSample, ...]
    complete: bool


def look(process: Process, deadline_s: float = DEADLINE_S) -> TcpLook:
    """The connections that a process has open.

    Raises ProcessGone, Deadline, and Unavailable where we may not look.
    """
    held = sockets_of(process)
    if not held:
        return TcpLook((), complete=True)
    if shares_our_network(process):
        try:
            return _by_table(frozenset(held), deadline_s)
        except Unavailable:
            pass  # netlink is forbidden to us; /proc tells as well
    return _by_text(process, held, deadline_s)


def sockets_of(process: Process) -> Dict[int, int]:
    """The sockets that a process holds: inode -> descriptor."""
    return {
        int(link[len(_SOCKET) : -1]): number
        for number, link in process.descriptors()
        if link.startswith(_SOCKET)
    }


def shares_our_network(process: Process) -> bool:
    """Whether the process lives in our own network namespace.  Raises as `look`."""
    try:
        theirs = os.readlink(f"/proc/{process.pid}/ns/net")
        ours = os.readlink("/proc/self/ns/net")
    except OSError as error:
        process.stat()  # raises when it is the process that is gone
        raise Unavailable(
            f"the network namespace of process {process.pid} cannot be seen: {error.strerror}"
        ) from error
    process.stat()
    return theirs == ours


def address(end: _End) -> str:
    """`10.0.0.9:443` or `[2001:db8::9]:443`."""
    host, port = end
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --- our own network namespace ---------------------------------------------------


def _by_table(inodes: FrozenSet[int], deadline_s: float) -> TcpLook:
    with SockDiag(deadline_s) as diag:
        entries = diag.tcp(inodes)
        listening = {one.local[1] for one in entries if one.state == LISTEN}
        opened = [one for one in entries if _is_opened(one.state, one.local, listening)]
        asked = [diag.details(one) for one in _newest(opened)]
    samples = tuple(_sample(*one) for one in asked if one is not None)
    return TcpLook(samples, complete=len(opened) <= MOST_CONNECTIONS)


def _newest(sockets: List[_Socket]) -> List[_Socket]:
    """The last that were opened, about: inode numbers rise, on each processor in steps of its own."""
    return sorted(sockets, key=lambda one: one.inode)[-MOST_CONNECTIONS:]


def _is_opened(state: int, local: _End, listening: Set[int]) -> bool:
    return state != LISTEN and local[1] not in listening


def _sample(entry: Entry, info: TcpInfo) -> ConnectionSample:
    return ConnectionSample(
        inode=entry.inode,
        local=address(entry.local),
        remote=address(entry.remote),
        state=entry.state,
        receive_queue_bytes=entry.receive_queue_bytes,
        send_queue_bytes=entry.send_queue_bytes,
        cookie=entry.cookie,
        **_counters(info),
    )


def _counters(info: TcpInfo) -> Dict[str, Optional[int]]:
    return {
        "received_bytes": info.received_bytes,
        "acked_bytes": info.acked_bytes,
        "silent_ns": info.silent_ns,
        "rtt_us": info.rtt_us,
        "retransmits": info.retransmits,
        "unanswered_probes": info.unanswered_probes,
    }


# --- another network namespace -----------------------------------------------------


def _by_text(process: Process, held: Dict[int, int], deadline_s: float) -> TcpLook:
    ends_at = time.monotonic() + deadline_s
    rows = list(_rows(process, frozenset(held)))
    listening = {one.local[1] for one in rows if one.state == LISTEN}
    opened = [one for one in rows if _is_opened(one.state, one.local, listening)]
    samples: List[ConnectionSample] = []
    for row in _newest(opened):
        if time.monotonic() > ends_at:
            raise Deadline(f"the sockets of process {process.pid} were not looked through in time")
        samples.append(_sample_by_duplicate(process, held[row.inode], row))
    return TcpLook(tuple(samples), complete=len(opened) <= MOST_CONNECTIONS)


def _rows(process: Process, inodes: FrozenSet[int]) -> Iterable[Row]:
    for name in ("net/tcp", "net/tcp6"):
        yield from parse_table(process.read(name, _MOST_TEXT_BYTES), inodes)


def _sample_by_duplicate(process: Process, descriptor: int, row: Row) -> ConnectionSample:
    seen = pipes.with_duplicate(process, descriptor, _ask_duplicate)
    inode, cookie, info = seen if seen is not None else (0, None, None)
    return ConnectionSample(
        inode=row.inode,
        local=address(row.local),
        remote=address(row.remote),
        state=row.state,
        receive_queue_bytes=row.receive_queue_bytes,
        send_queue_bytes=row.send_queue_bytes,
        **({"cookie": cookie, **_counters(info)} if info is not None and inode == row.inode else {}),
    )


def _ask_duplicate(descriptor: int) -> Tuple[int, Optional[int], Optional[TcpInfo]]:
    """Inode, cookie and counters of a socket; it may be another one by now, so its inode is told."""
    one = socket.socket(fileno=os.dup(descriptor))
    try:
        cookie = struct.unpack("=Q", one.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8))[0]
        info = parse_tcp_info(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES))
        return os.fstat(descriptor).st_ino, cookie, info
    except OSError:
        return 0, None, None  # no TCP socket any more
    finally:
        one.close()
