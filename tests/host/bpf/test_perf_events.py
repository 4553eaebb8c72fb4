"""Perf events are opened by who may, and given to who asks over a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT
from watchdog.errors import Unavailable
from watchdog.host.bpf import perf_events, tracefs
from watchdog.host.privileged import SOCKET_VARIABLE

WANTED = (("task", "task_newtask"), ("sched", "sched_process_exit"))
# Sees tracefs, and may open nothing by itself.
UNPRIVILEGED = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
CAPABILITIES = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
ASK = f"""
import os
from watchdog.errors import Unavailable
from watchdog.host.bpf import perf_events
try:
    events = perf_events.open_events({WANTED!r})
    print(len(events), {{os.readlink(f"/proc/self/fd/{{one}}") for one in events.values()}})
    perf_events.close(events.values())
except Unavailable as error:
    print("Unavailable:", error)
"""


@contextmanager
def privileged_unit(folder: Path, answer: bytes = b"") -> Iterator[Path]:
    """A socket that answers each request as the unit does, or with these bytes."""
    path = folder / "act.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o777)
        listening.listen()
        listening.settimeout(30)
        server = threading.Thread(target=_serve, args=(listening, answer))
        server.start()
        yield path
        server.join(30)


def _serve(listening: socket.socket, answer: bytes) -> None:
    channel, _ = listening.accept()
    with channel:
        assert channel.recv(100) == perf_events.REQUEST
        if answer:
            channel.sendall(answer)
        else:
            perf_events.serve(channel)


def unprivileged(*, asks: Path | None = None) -> str:
    """What a process without rights gets, where the unit's socket is this one."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    if asks is not None:
        environment[SOCKET_VARIABLE] = str(asks)
    command = [*UNPRIVILEGED, *CAPABILITIES, "/usr/bin/python3", "-c", ASK]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False, text=True)
    return done.stdout + done.stderr


def test_root_opens_them_itself() -> None:
    events = perf_events.open_events(WANTED)
    try:
        assert tuple(events) == WANTED
        assert {os.readlink(f"/proc/self/fd/{one}") for one in events.values()} == {"anon_inode:[perf_event]"}
    finally:
        perf_events.close(events.values())


def test_who_may_not_says_so() -> None:
    assert unprivileged().startswith("Unavailable: no perf event can be opened: ")


def test_who_may_not_is_given_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with privileged_unit(tmp_path) as path:
        assert unprivileged(asks=path) == "2 {'anon_inode:[perf_event]'}\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"error": "no tracefs"}', "no tracefs"),
        (b"what?", "what?"),
        (b'{"tracepoints": [["a", "b"]]}', "were given"),
    ],
    ids=["a refusal", "nonsense", "names without events"],
)
def test_another_answer_is_a_reason(tmp_path: Path, answer: bytes, said: str) -> None:
    with privileged_unit(tmp_path, answer) as path:
        told = unprivileged(asks=path)
        assert told.startswith("Unavailable: ") and said in told


def test_a_socket_that_is_not_there_is_a_reason(tmp_path: Path) -> None:
    assert "gives none" in unprivileged(asks=tmp_path / "act.sock")


def test_a_tracepoint_that_is_not_there_is_a_reason() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable, match="no_such"):
        perf_events.open_events([*WANTED, ("task", "no_such")])
    assert len(os.listdir("/proc/self/fd")) == before  # all or none


def test_only_what_probes_are_for_is_given() -> None:
    """There is no request for anything else."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        perf_events.serve(theirs)
        message, events, _, _ = socket.recv_fds(ours, 65536, 64)
    perf_events.close(events)
    assert 0 < len(events) <= len(tracefs.TRACEPOINTS)
    assert b"task_newtask" in message
