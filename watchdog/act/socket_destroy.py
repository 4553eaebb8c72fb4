"""SOCK_DESTROY: end exactly one TCP connection, as if it had been aborted.

Law: the order names both ends and the kernel's cookie of the socket.  A later
socket on the same ports has another cookie, so it cannot be hit.  The owner's
next read fails with ECONNABORTED; the peer gets a reset.

Needs CAP_NET_ADMIN and a kernel with CONFIG_INET_DIAG_DESTROY, and reaches our
own network namespace only.
"""

from __future__ import annotations

from watchdog.errors import Refused
from watchdog.host.sock_diag import SOCK_DESTROY, SockDiag

DEADLINE_S = 2.0


def destroy(cookie: int, inode: int, deadline_s: float = DEADLINE_S) -> None:
    """End the connection of the socket with that cookie and inode.

    Raises Refused when there is no such socket (any more), also when another one
    has its ports by now; Unavailable where the kernel cannot or will not; Deadline.
    """
    with SockDiag(deadline_s) as diag:
        entry = next((one for one in diag.tcp(frozenset({inode})) if one.cookie == cookie), None)
        if entry is None:
            raise Refused(f"the socket with cookie {cookie:#x} is gone")
        try:
            diag.order(SOCK_DESTROY, entry)
        except FileNotFoundError:
            raise Refused(f"the socket with cookie {cookie:#x} ended just before") from None
