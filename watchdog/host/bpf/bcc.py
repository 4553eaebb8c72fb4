"""The bcc engine: the same sources, compiled on this node by a child that ends.

For nodes whose libbpf cannot load the prebuilt object, and that have bcc and
kernel headers.  The child answers within a deadline, at which the kernel ends
it: we may have no right to signal.  Nothing of it stays but the descriptors
that it handed over.
"""

from __future__ import annotations

import json
import os
import select
import socket
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Tuple

from watchdog.errors import Unavailable
from watchdog.host.bpf import library, perf_events, places, tracefs
from watchdog.host.bpf.tracefs import Layout
from watchdog.host.bpf.tracepoints import MAPS, TracepointEngine

NAME = "bcc"
PYTHON = "/usr/bin/python3"  # the one that the distribution's bcc belongs to
_CHILD = str(Path(__file__).with_name("bcc_child.py"))
_DEADLINE_S = 60.0  # 0.5 s is usual, 3 s on a slow machine
_MOST_DESCRIPTORS = 64
_GRACE_S = 5.0  # from the deadline to its end, its start included
_PAGE_BYTES = 4096


def open_bcc(ring_bytes: int, deadline_s: float = _DEADLINE_S) -> TracepointEngine:
    """Compile and attach in a child, take over.  Raises Unavailable with the reason."""
    layout = tracefs.read_layout()
    request = {**_request(layout, ring_bytes), "deadline_s": deadline_s}
    _demand_headers()
    libbpf = library.for_maps()
    with ExitStack() as undo:
        events = perf_events.open_events(request["probes"])
        undo.callback(perf_events.close, events.values())
        answer, made = _ask_child(request, list(events.values()), deadline_s)
        for descriptor in made:
            undo.callback(os.close, descriptor)
        if "error" in answer:
            raise Unavailable(f"bcc failed: {answer['error']}")
        if len(made) != len(MAPS):
            raise Unavailable(f"bcc handed over {len(made)} descriptors only")
        maps = dict(zip(answer["maps"], made))
        sees_tcp = layout.sees_tcp() and not any(category == "sock" for category, _, _ in answer["refused"])
        return TracepointEngine(NAME, libbpf, maps, sees_tcp, undo.pop_all().close)


def _request(layout: Layout, ring_bytes: int) -> Dict[str, Any]:
    offsets = [f"-DAT_{field}={offset}" for field, offset in layout.offsets.items()]
    return {
        "text": places.joined_source(),
        "cflags": ["-w", "-DBCC", f"-DRING_PAGES={ring_bytes // _PAGE_BYTES}", *offsets],
        "maps": MAPS,
        "probes": [tracepoint for tracepoint in tracefs.TRACEPOINTS if tracepoint not in layout.refused],
        "optional": ["sock", "tcp"],
    }


def _demand_headers() -> None:
    """bcc needs kernel headers, even for sources that look at no kernel struct."""
    release = os.uname().release
    package = os.environ.get("BCC_KERNEL_SOURCE", f"/lib/modules/{release}/build")
    in_kernel = "/sys/kernel/kheaders.tar.xz"
    if not places.is_there(Path(package)) and not places.is_there(Path(in_kernel)):
        wanted = f"install linux-headers-{release}, or what your distribution calls it"
        raise Unavailable(f"no kernel headers for bcc at {package} or {in_kernel}: {wanted}")


def _ask_child(
    request: Dict[str, Any], events: List[int], deadline_s: float
) -> Tuple[Dict[str, Any], List[int]]:
    """The child's answer and the maps that came with it; its probes are on these events."""
    until = time.monotonic() + deadline_s
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as printed:
        with theirs:
            pid = _spawn(theirs, printed)
        with _reaped(pid, until):
            ours.settimeout(deadline_s)
            try:
                socket.send_fds(ours, [b"\n"], events)
                ours.sendall(json.dumps(request).encode() + b"\n")
                message, descriptors, _, _ = socket.recv_fds(ours, 65536, _MOST_DESCRIPTORS)
            except socket.timeout:
                raise Unavailable(f"bcc did not compile the probes within {deadline_s:g} s") from None
            except OSError:
                message, descriptors = b"", []
        answer = json.loads(message) if message else {"error": "the child ended without an answer"}
        if "error" in answer:
            answer["error"] += _first_complaint(printed)
        return answer, descriptors


def _spawn(standard_input: socket.socket, printed: IO[bytes]) -> int:
    actions = [
        (os.POSIX_SPAWN_DUP2, standard_input.fileno(), 0),
        (os.POSIX_SPAWN_DUP2, printed.fileno(), 1),
        (os.POSIX_SPAWN_DUP2, printed.fileno(), 2),
    ]
    try:
        return os.posix_spawn(PYTHON, [PYTHON, "-I", _CHILD], os.environ, file_actions=actions)
    except OSError as error:
        raise Unavailable(f"{PYTHON} cannot be run for bcc: {error.strerror}") from error


@contextmanager
def _reaped(pid: int, until: float) -> Iterator[None]:
    """The child ends inside this block or soon after; one that cannot die is left behind."""
    process = os.pidfd_open(pid)
    try:
        yield
    finally:
        ended, _, _ = select.select([process], [], [], max(0.0, until - time.monotonic()) + _GRACE_S)
        if ended:
            os.waitpid(pid, 0)
        os.close(process)


def _first_complaint(printed: IO[bytes]) -> str:
    """The line of the compiler that names the error, if there is one."""
    printed.seek(0)
    lines = printed.read().decode("utf-8", "replace").splitlines()
    complaints = [line for line in lines if "error" in line.lower()] or lines[-1:]
    return f" ({complaints[0].strip()})" if complaints else ""
