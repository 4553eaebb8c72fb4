"""The process that compiles the probes with bcc, hands their maps over and ends.

Run as a script, with one end of a socket as its standard input.  It takes the
perf events that the probes are for and one JSON request, answers with one JSON
message that carries the descriptors of the maps, and is gone, and bcc's 130 MB
with it.  Whoever holds the events holds the probes.

Law: the only file that imports bcc, and it imports nothing of ours: it runs
isolated, under the system's Python.  Only bcc's own trouble is answered here;
the request is the parent's and right.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import signal
import socket
from typing import Any, Dict, List, Tuple

_MOST_EVENTS = 64
_SET_BPF, _ENABLE = 0x40042408, 0x2400  # of <linux/perf_event.h>


def compile_and_attach(request: Dict[str, Any], events: List[int]) -> Tuple[Dict[str, Any], List[int]]:
    """The answer, and the maps in its order.

    Request: text, cflags, maps (names), probes ([category, name] each, in the
    order of the events), optional (categories that may be refused).
    """
    from bcc import BPF

    bpf = BPF(text=request["text"].encode(), cflags=request["cflags"])
    refused = []
    for (category, name), event in zip(request["probes"], events):
        try:
            program = bpf.load_func(f"{category}__{name}".encode(), BPF.TRACEPOINT)
            fcntl.ioctl(event, _SET_BPF, program.fd)
            fcntl.ioctl(event, _ENABLE, 0)
        except Exception as error:
            if category not in request["optional"]:
                raise
            refused.append([category, name, str(error)])
    return {"maps": request["maps"], "refused": refused}, [
        bpf[name.encode()].map_fd for name in request["maps"]
    ]


def main() -> None:
    parent = socket.socket(fileno=0)
    _, events, _, _ = socket.recv_fds(parent, 1, _MOST_EVENTS)
    request = json.loads(_receive_line(parent))
    signal.setitimer(signal.ITIMER_REAL, request["deadline_s"])
    try:
        answer, descriptors = compile_and_attach(request, events)
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
