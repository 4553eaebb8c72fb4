"""Real TCP connections on loopback, and a process that holds such."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
from dataclasses import dataclass
from typing import Iterator, List, Tuple

from tests.host.conftest import Spawn

IPV4, IPV6 = "127.0.0.1", "::1"

# Opens connections to a port and tells its own ends; "port" 0: it listens itself, within its own network.
HOLDER = """
import json, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
if not port:
    listener = socket.socket(family); listener.bind((host, 0)); listener.listen(8)
    port = listener.getsockname()[1]
ours = [socket.create_connection((host, port)) for _ in range(count)]
print(json.dumps([one.getsockname()[1] for one in ours]), flush=True)
sys.stdin.read()
"""


@dataclass
class Pair:
    """Both ends of one connection: `ours` opened it, `peer` accepted it."""

    ours: socket.socket
    peer: socket.socket


def listening(host: str = IPV4, backlog: int = 16) -> socket.socket:
    """A listener on a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.bind((host, 0))
    listener.listen(backlog)
    return listener


@contextlib.contextmanager
def pair(host: str = IPV4) -> Iterator[Pair]:
    """A connection of this process with itself; the listener is gone by then."""
    with listening(host) as listener:
        ours = socket.create_connection(listener.getsockname()[:2])
        peer = listener.accept()[0]
    with ours, peer:
        yield Pair(ours, peer)


def holder(spawn: Spawn, host: str, port: int, count: int, *wrapper: str) -> Tuple[int, List[int]]:
    """A process with `count` connections: its pid and their local ports."""
    command = (*wrapper, "/usr/bin/python3", "-c", HOLDER, host, str(port), str(count))
    child = spawn(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    return child.pid, json.loads(child.stdout.readline())


def abort(one: socket.socket) -> None:
    """Close with a reset, so that the ports are free at once."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def inode_of(one: socket.socket) -> int:
    """The inode of our own socket."""
    return os.fstat(one.fileno()).st_ino
