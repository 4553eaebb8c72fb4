"""The text form of the kernel's TCP sockets: /proc/PID/net/tcp and tcp6.

It shows the network namespace of that process, whichever that is.  Addresses
are hexadecimal words in the byte order of the machine.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import FrozenSet, Iterator, Tuple

_LOCAL, _REMOTE, _STATE, _QUEUES, _INODE = 1, 2, 3, 4, 9


@dataclass(frozen=True)
class Row:
    """One socket; both ends as (address, port), `state` the kernel's TCP_* number."""

    local: Tuple[str, int]
    remote: Tuple[str, int]
    state: int
    send_queue_bytes: int
    receive_queue_bytes: int
    inode: int


def parse_table(text: bytes, inodes: FrozenSet[int]) -> Iterator[Row]:
    """The rows of the sockets with these inodes; a last line that was cut off is left out."""
    for line in text.split(b"\n")[1:]:
        field = line.split()
        if len(field) <= _INODE or int(field[_INODE]) not in inodes:
            continue
        sent, _, received = field[_QUEUES].partition(b":")
        yield Row(
            local=_end(field[_LOCAL]),
            remote=_end(field[_REMOTE]),
            state=int(field[_STATE], 16),
            send_queue_bytes=int(sent, 16),
            receive_queue_bytes=int(received, 16),
            inode=int(field[_INODE]),
        )


def _end(text: bytes) -> Tuple[str, int]:
    address, _, port = text.partition(b":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)), int(port, 16)
