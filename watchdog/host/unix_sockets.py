"""UNIX sockets as the kernel lists them: who listens on a path, and who is connected to it.

Law: a socket is known by its inode, never by its name alone: a name can be
bound again while the old socket lives on.  A duplicate of somebody's socket is
taken only to ask the kernel whose it is, and closed at once (host/pipes).

Nobody is connected to: a connection would start a runtime whose socket is
activated by systemd.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from watchdog.core.observation import ProcessKey
from watchdog.errors import Deadline, ProcessGone, Unavailable
from watchdog.host import pipes, proc
from watchdog.host.proc import PROC, Process

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_SHOW_VFS, _SHOW_PEER = 2, 4
_ATTRIBUTE_VFS, _ATTRIBUTE_PEER, _ATTRIBUTE_SHUTDOWN = 1, 2, 6
_RECEIVES_NO_MORE = 1  # of the shutdown mask: the other side has closed
_ESTABLISHED, _LISTEN = 1, 10
_HEADER = struct.Struct("=IHHII")  # length type flags sequence port
_REQUEST = struct.Struct("=BBHIIIII")  # family protocol - states inode show cookie cookie
_ROW = struct.Struct("=BBBBIII")  # family type state - inode cookie cookie
_DEADLINE_S = 2.0
_SOCKET = "socket:["


@dataclass(frozen=True)
class UnixSocket:
    """A socket of our network namespace.

    `file`: (device, inode) of the path that it is bound to.  `peer`: the inode
    of the other side; None when that is closed.
    """

    inode: int
    state: int
    file: Optional[Tuple[int, int]] = None
    peer: Optional[int] = None


def parse_dump(message: bytes) -> Tuple[List[UnixSocket], bool]:
    """The sockets in one netlink message, and whether it is the last of the list.

    Raises OSError with the kernel's own error.
    """
    found: List[UnixSocket] = []
    offset = 0
    while offset + _HEADER.size <= len(message):
        length, kind, _, _, _ = _HEADER.unpack_from(message, offset)
        payload = message[offset + _HEADER.size : offset + length]
        if kind == _DONE:
            return found, True
        if kind == _ERROR:
            number = -struct.unpack_from("=i", payload)[0]
            raise OSError(number, os.strerror(number))
        if kind == _SOCK_DIAG_BY_FAMILY:
            found.append(_parse_row(payload))
        offset += max(_HEADER.size, _aligned(length))
    return found, False


def dump(states: Iterable[int] = (_LISTEN, _ESTABLISHED)) -> Dict[int, UnixSocket]:
    """All sockets of our network namespace in these states, by inode.

    Raises Unavailable where the kernel cannot list them, and Deadline.
    """
    mask = sum(1 << state for state in states)
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, mask, 0, _SHOW_VFS | _SHOW_PEER, 0, 0)
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    found: Dict[int, UnixSocket] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_DEADLINE_S)
            netlink.send(header + request)
            done = False
            while not done:
                sockets, done = parse_dump(netlink.recv(1 << 17))
                found.update((one.inode, one) for one in sockets)
            return found
    except socket.timeout:
        raise Deadline(f"the list of UNIX sockets did not come within {_DEADLINE_S:g} s") from None
    except OSError as error:
        raise Unavailable(f"UNIX sockets cannot be listed: {error.strerror}") from error


def listener(path: str) -> Optional[int]:
    """The inode of the socket that listens on this path now; None when none does."""
    try:
        file = Path(path).stat()
    except OSError:
        return None
    place = (file.st_dev, file.st_ino & 0xFFFFFFFF)  # the kernel tells 32 bits of the inode
    return next((one.inode for one in dump([_LISTEN]).values() if one.file == place), None)


def holds(process: Process, inode: int) -> bool:
    """Whether a process has that socket open."""
    return any(link == f"{_SOCKET}{inode}]" for _, link in process.descriptors())


class Connections:
    """Who is connected to a path, as the runtime's own descriptors show it.

    Works for clients in other network and mount namespaces too.  Each
    connection is looked into once.
    """

    def __init__(self, path: str, root: str = PROC) -> None:
        self._path = os.path.realpath(path)
        self._root = root
        self._clients: Dict[int, Optional[ProcessKey]] = {}  # by inode; None: no connection to this path

    def clients(self, process: Process) -> Dict[ProcessKey, bool]:
        """Each client with whether its connection is still up: it may have hung up unheard.

        Raises ProcessGone and Unavailable.
        """
        numbers = {_inode(link): number for number, link in process.descriptors() if link.startswith(_SOCKET)}
        self._clients = {inode: known for inode, known in self._clients.items() if inode in numbers}
        for inode, number in numbers.items():
            if inode not in self._clients:
                try:
                    self._clients[inode] = self._find_client(process, number)
                except OSError:
                    continue  # closed meanwhile, or another file by now
        return self._with_state()

    def _with_state(self) -> Dict[ProcessKey, bool]:
        listed = dump([_ESTABLISHED]) if any(self._clients.values()) else {}
        clients: Dict[ProcessKey, bool] = {}
        for inode, key in self._clients.items():
            if key is not None and proc.is_alive(key, self._root):
                # Not listed: it is of another network namespace, and nothing speaks against it.
                up = inode not in listed or listed[inode].peer is not None
                clients[key] = clients.get(key, False) or up
        return clients

    def _find_client(self, process: Process, number: int) -> Optional[ProcessKey]:
        """Who opened a connection to our path; None for any other socket."""
        protocol = os.getxattr(f"{self._root}/{process.pid}/fd/{number}", "system.sockprotoname")
        if not protocol.startswith(b"UNIX"):
            return None
        name, pid = pipes.with_duplicate(process, number, _name_and_peer) or ("", 0)
        if pid == 0 or os.path.realpath(name) != self._path:
            return None
        try:
            return proc.identify(pid, self._root)
        except ProcessGone:
            return None  # it ended, and the runtime has not noticed


def _name_and_peer(descriptor: int) -> Tuple[str, int]:
    """The path that a connection came in on, and the pid that opened it; 0 where there is none."""
    view = socket.socket(fileno=descriptor)
    try:
        if view.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return "", 0
        credentials = view.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
        return os.fsdecode(view.getsockname() or b""), struct.unpack("iII", credentials)[0]
    finally:
        view.detach()


def _parse_row(row: bytes) -> UnixSocket:
    _, _, state, _, inode, _, _ = _ROW.unpack_from(row)
    attributes = dict(_attributes(row[_ROW.size :]))
    file = attributes.get(_ATTRIBUTE_VFS)
    peer = attributes.get(_ATTRIBUTE_PEER)
    shutdown = attributes.get(_ATTRIBUTE_SHUTDOWN, b"\0")[0]
    peer_inode = struct.unpack("=I", peer)[0] if peer and not shutdown & _RECEIVES_NO_MORE else 0
    return UnixSocket(inode, state, _place(file) if file else None, peer_inode or None)


def _place(file: bytes) -> Tuple[int, int]:
    """(device, inode); the kernel writes a device as 12 bits major, 20 bits minor."""
    inode, device = struct.unpack("=II", file)
    return os.makedev(device >> 20, device & 0xFFFFF), inode


def _attributes(text: bytes) -> Iterator[Tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(text):
        length, kind = struct.unpack_from("=HH", text, offset)
        if length < 4:
            return
        yield kind, text[offset + 4 : offset + length]
        offset += _aligned(length)


def _aligned(length: int) -> int:
    return (length + 3) & ~3


def _inode(link: str) -> int:
    return int(link[len(_SOCKET) : -1])
