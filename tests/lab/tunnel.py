"""An HTTP proxy that knows one way.

`tunnel PORT NAME:PORT TO_PORT` leads CONNECT to that name to a port of this machine.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

HEAD_MAX_BYTES = 16 * 1024
CHUNK_BYTES = 64 * 1024


def main() -> None:
    """Serve until the process is ended."""
    port, name, target = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, name, target), daemon=True).start()


def serve(client: socket.socket, name: str, target: int) -> None:
    """One connection: its head, then bytes both ways until either side ends."""
    with client, contextlib.suppress(OSError):
        if not read_head(client).startswith(f"CONNECT {name} ".encode()):
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", target), 10.0) as origin:
            origin.settimeout(None)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=pump, args=(client, origin), daemon=True).start()
            pump(origin, client)


def read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_MAX_BYTES:
        piece = client.recv(CHUNK_BYTES)
        if not piece:
            break
        head += piece
    return head


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(CHUNK_BYTES):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
