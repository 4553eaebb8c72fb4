"""The process that compiles the probes with bcc, hands them over and ends.

Run as a script, with one end of a socket as its standard input.  It takes one
JSON request, answers with one JSON message that carries the descriptors of
maps and attached probes, and is gone, and bcc's 130 MB with it.  Whoever holds
the descriptors holds the probes.

Law: the only file that imports bcc, and it imports nothing of ours: it runs
isolated, under the system's Python.  Only bcc's own trouble is answered here;
the request is the parent's and right.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
from typing import Any, Dict, List, Tuple


def compile_and_attach(request: Dict[str, Any]) -> Tuple[Dict[str, Any], List[int]]:
    """The answer, and the descriptors in its order: first the maps, then the probes.

    Request: text, cflags, maps (names), probes ([category, name] each),
    optional (categories that may be refused).
    """
    from bcc import BPF

    bpf = BPF(text=request["text"].encode(), cflags=request["cflags"])
    refused = []
    for category, name in request["probes"]:
        try:
            bpf.attach_tracepoint(tp=f"{category}:{name}".encode(), fn_name=f"{category}__{name}".encode())
        except Exception as error:
            if category not in request["optional"]:
                raise
            refused.append([category, name, str(error)])
    maps = [bpf[name.encode()].map_fd for name in request["maps"]]
    probes = list(bpf.tracepoint_fds.values())
    return {"maps": request["maps"], "refused": refused}, maps + probes


def main() -> None:
    parent = socket.socket(fileno=0)
    request = json.loads(_receive_line(parent))
    signal.setitimer(signal.ITIMER_REAL, request["deadline_s"])
    try:
        answer, descriptors = compile_and_attach(request)
    except BaseException as error:  # bcc ends the process where it finds no headers
        answer, descriptors = {"error": f"{type(error).__name__}: {error}"}, []
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    parent.sendmsg([json.dumps(answer).encode()], [rights] if descriptors else [])
    os._exit(0)  # bcc's own exit would detach


def _receive_line(parent: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        piece = parent.recv(65536)
        if not piece:
            raise SystemExit("the parent is gone")
        received += piece
    return received


if __name__ == "__main__":
    main()
