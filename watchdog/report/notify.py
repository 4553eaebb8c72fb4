"""Messages to the service manager: ready, alive, what goes on, stopping.

Law: a datagram that cannot be sent at once is not sent.
"""

from __future__ import annotations

import os
import socket
from typing import Optional


class ServiceManager:
    """Talks to $NOTIFY_SOCKET; without one it says nothing."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._socket: Optional[socket.socket] = None
        self._status = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The agent sees and decides from now on."""
        self._send("READY=1")

    def alive(self, status: str) -> None:
        """A tick has ended.  `status` is one sentence for `systemctl status`."""
        said = f"\nSTATUS={status}" if status != self._status else ""
        self._status = status
        self._send(f"WATCHDOG=1{said}")

    def stopping(self) -> None:
        """The agent ends on purpose."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(message.encode(), address)
        except OSError:
            pass  # it is told with the next tick
