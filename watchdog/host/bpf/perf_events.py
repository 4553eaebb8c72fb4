"""Perf events of tracepoints: what probes are attached to.

With kernel.perf_event_paranoid = 3, as Debian has it, the kernel opens one for
CAP_SYS_ADMIN only, whatever CAP_PERFMON says.  An agent that has no such right
gets them from the unit that has: to attach a probe to an open one needs no more.

Law: the request has no words, so nothing but these tracepoints can be had by it.
"""

from __future__ import annotations

import ctypes as ct
import errno
import json
import os
import platform
import socket
import struct
from contextlib import ExitStack
from typing import Dict, Iterable, List, Sequence, Tuple

from watchdog.errors import Unavailable
from watchdog.host import privileged
from watchdog.host.bpf import tracefs

Tracepoint = Tuple[str, str]

REQUEST = b'{"verb": "open_events"}\n'
_WITHIN_S = 20.0
_MOST_EVENTS = 64
_CALL = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "ppc64le": 319}
_TYPE_TRACEPOINT = 2
_ATTRIBUTES_BYTES = 112
_FLAG_CLOEXEC = 8
_libc = ct.CDLL(None, use_errno=True)


def open_events(wanted: Sequence[Tracepoint]) -> Dict[Tracepoint, int]:
    """An open event for each; the caller closes them.  Raises Unavailable."""
    try:
        return _open_all(wanted)
    except OSError as error:
        path = privileged.socket_path()
        if path is None or error.errno not in (errno.EACCES, errno.EPERM):
            raise Unavailable(f"no perf event can be opened: {error.strerror}{_hint()}") from None
    return _ask(path, wanted)


def serve(channel: socket.socket) -> None:
    """Answer one REQUEST: the names of this kernel's tracepoints, and their events in that order."""
    try:
        layout = tracefs.read_layout()
        opened = _open_all([one for one in tracefs.TRACEPOINTS if one not in layout.refused])
    except (Unavailable, OSError) as error:
        channel.sendall(json.dumps({"error": str(error)}).encode())
        return
    try:
        socket.send_fds(channel, [json.dumps({"tracepoints": list(opened)}).encode()], list(opened.values()))
    finally:
        close(opened.values())


def close(events: Iterable[int]) -> None:
    """Their probes end with them."""
    for event in events:
        os.close(event)


def _open_all(wanted: Sequence[Tracepoint]) -> Dict[Tracepoint, int]:
    """All or none.  Raises OSError, Unavailable."""
    with ExitStack() as undo:
        opened = {}
        for one in wanted:
            opened[one] = _open(tracefs.number_of(one))
            undo.callback(os.close, opened[one])
        undo.pop_all()
        return opened


def _open(number: int) -> int:
    """One event on all processes; by the BPF program on it, on all processors too."""
    call = _CALL.get(platform.machine())
    if call is None:
        raise Unavailable(f"perf_event_open of {platform.machine()} is not known")
    attributes = struct.pack("=IIQ", _TYPE_TRACEPOINT, _ATTRIBUTES_BYTES, number).ljust(
        _ATTRIBUTES_BYTES, b"\0"
    )
    words = [ct.c_long(one) for one in (-1, 0, -1, _FLAG_CLOEXEC)]
    opened: int = _libc.syscall(ct.c_long(call), attributes, *words)
    if opened < 0:
        raise OSError(ct.get_errno(), os.strerror(ct.get_errno()))
    return opened


def _ask(path: str, wanted: Sequence[Tracepoint]) -> Dict[Tracepoint, int]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(_WITHIN_S)
            channel.connect(path)
            channel.sendall(REQUEST)
            message, events, _, _ = socket.recv_fds(channel, 65536, _MOST_EVENTS)
    except OSError as error:
        raise Unavailable(f"no perf event can be opened, and {path} gives none: {error}") from None
    given = _named(message, events)
    for one in given.keys() - set(wanted):
        os.close(given.pop(one))
    if given.keys() != set(wanted):
        close(given.values())
        raise Unavailable(f"{path} gives other perf events than are wanted")
    return given


def _named(message: bytes, events: List[int]) -> Dict[Tracepoint, int]:
    try:
        answer = json.loads(message)
        names = [(str(category), str(name)) for category, name in answer.get("tracepoints", ())]
    except (ValueError, TypeError, AttributeError):
        close(events)
        raise Unavailable(f"no perf events were given: {message[:80]!r}") from None
    if len(names) != len(events) or not names:
        close(events)
        raise Unavailable(f"no perf events were given: {answer.get('error', 'no reason said')}")
    return dict(zip(names, events))


def _hint() -> str:
    try:
        with open("/proc/sys/kernel/perf_event_paranoid", encoding="ascii") as file:
            level = int(file.read())
    except (OSError, ValueError):
        return ""
    return f" (kernel.perf_event_paranoid is {level}: CAP_SYS_ADMIN is needed)" if level >= 3 else ""
