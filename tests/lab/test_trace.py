"""The independent trace sees each thing that an observer must not do, and nothing in one that only looks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.processes import wait_until
from tests.lab.trace import Trace

pytestmark = pytest.mark.lab

DESTROY = (
    "import socket, struct; s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4);"
    "s.send(struct.pack('=IHHII', 72, 21, 5, 1, 0) + bytes([2, 6]) + bytes(54))"
)


def traced(tmp_path: Path, program: str) -> Trace:
    """The trace of a Python program that has ended."""
    trace = Trace(tmp_path / "trace")
    marked = f"{program}\nopen({str(tmp_path / 'end')!r}, 'w')"
    subprocess.run([*trace.command, sys.executable, "-I", "-c", marked], timeout=30, check=True)
    wait_until(lambda: any("/end" in line for line in trace.lines()), "strace has written all", 10.0)
    return trace


def test_signals(tmp_path: Path) -> None:
    trace = traced(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGCONT)")
    assert trace.signals() == ["SIGCONT"]


def test_a_signal_of_a_child_by_a_pidfd(tmp_path: Path) -> None:
    own = "import os, signal; signal.pidfd_send_signal(os.pidfd_open(os.getpid()), signal.SIGCONT)"
    trace = traced(tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {own!r}])")
    assert trace.signals() == ["SIGCONT"]


def test_signals_are_told_with_who_got_them(tmp_path: Path) -> None:
    """Also where the traced process is woken while the call is under way, which splits its line."""
    program = (
        "import os, signal, subprocess; p = subprocess.Popen(['sleep', '9']); f = os.pidfd_open(p.pid);"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid));"
        "signal.pidfd_send_signal(f, signal.SIGCONT); signal.pidfd_send_signal(f, signal.SIGKILL); p.wait()"
    )
    trace = traced(tmp_path, program)
    pid = int((tmp_path / "pid").read_text())
    assert trace.signals_to() == [("SIGCONT", pid), ("SIGKILL", pid)]


def test_mounts_and_namespaces(tmp_path: Path) -> None:
    trace = traced(tmp_path, "import ctypes; ctypes.CDLL(None).umount2(b'/nowhere', 0)")
    assert len(trace.changes()) == 1


def test_questions_that_change_something(tmp_path: Path) -> None:
    post = "import socket; a, b = socket.socketpair(); a.sendall(b'POST /images/create HTTP/1.1')"
    assert traced(tmp_path, post).questions_that_change() == ["POST /images/create"]


def test_destroyed_sockets(tmp_path: Path) -> None:
    assert len(traced(tmp_path, DESTROY).questions_that_change()) == 1


def test_listed_sockets_are_not_destroyed(tmp_path: Path) -> None:
    assert traced(tmp_path, DESTROY.replace("72, 21, 5", "72, 20, 0x301")).questions_that_change() == []


def test_talk_to_the_message_bus(tmp_path: Path) -> None:
    talk = "import socket; socket.socket(socket.AF_UNIX).connect_ex('/nowhere/dbus/system_bus_socket')"
    assert len(traced(tmp_path, talk).questions_that_change()) == 1


def test_writes_outside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    trace = traced(
        tmp_path, f"import os; os.mkdir({str(tmp_path / 'out')!r}); open({str(tmp_path / 'in/x')!r}, 'w')"
    )
    assert set(trace.written_outside(tmp_path / "in")) == {str(tmp_path / "out"), str(tmp_path / "end")}


def test_an_observer(tmp_path: Path) -> None:
    """Signal 0, a GET, a read."""
    look = "import os, socket; os.kill(os.getpid(), 0); open('/proc/self/stat').read()"
    ask = "a, b = socket.socketpair(); a.sendall(b'GET /info HTTP/1.1')"
    trace = traced(tmp_path, f"{look}\n{ask}")
    assert trace.questions() == ["GET /info"]
    assert (trace.signals(), trace.changes(), trace.questions_that_change()) == ([], [], [])
    assert trace.written_outside(tmp_path) == []
