"""host/command: programs end, or we stop waiting for them."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

import pytest

from tests.host.conftest import no_descriptor_kept, wait_until
from watchdog.errors import Unavailable
from watchdog.host import command, proc


def test_a_program_gets_its_input_and_gives_its_output_and_status() -> None:
    done = command.run(["sh", "-c", "cat; echo problem >&2; exit 3"], 10, stdin=b"x" * 100_000)
    assert done.stdout == b"x" * 100_000
    assert (done.stderr, done.status, done.expired) == (b"problem\n", 3, False)
    assert not done.succeeded


def test_a_program_without_trouble_succeeded() -> None:
    assert command.run(["true"], 10).succeeded


def test_a_signal_shows_in_the_status() -> None:
    done = command.run(["sh", "-c", "kill -TERM $$"], 10)
    assert (done.status, done.expired) == (-15, False)


def test_the_environment_is_what_was_given() -> None:
    assert command.run(["env"], 10, environment={"PATH": "/usr/bin:/bin", "A": "b"}).stdout.splitlines() == [
        b"PATH=/usr/bin:/bin",
        b"A=b",
    ]


def test_a_program_that_overruns_its_deadline_is_killed_and_what_it_said_is_kept() -> None:
    begun = time.monotonic()
    done = command.run(["sh", "-c", "echo first; exec sleep 60"], 0.2)
    assert (done.stdout, done.status, done.expired) == (b"first\n", -9, True)
    assert time.monotonic() - begun < 5


def test_a_program_just_within_its_deadline_is_not_expired() -> None:
    done = command.run(["sleep", "0.2"], 10)
    assert (done.status, done.expired) == (0, False)


def test_a_grandchild_that_holds_the_output_is_not_waited_for() -> None:
    begun = time.monotonic()
    done = command.run(["sh", "-c", "timeout 5 yes & echo parent"], 10)
    assert done.succeeded
    assert time.monotonic() - begun < 4


def test_output_without_end_is_cut() -> None:
    done = command.run(["sh", "-c", "yes | head -c 3000000"], 20)
    assert (len(done.stdout), done.status) == (1 << 20, 0)


def test_a_program_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"/no/such/program cannot be started: No such file"):
        command.run(["/no/such/program"], 1)


def test_nothing_is_left_open_and_nothing_inherited() -> None:
    with no_descriptor_kept():
        for argv in (["true"], ["sleep", "60"]):
            command.run(argv, 0.1)
        with pytest.raises(Unavailable):
            command.run(["/no/such/program"], 1)
    kept_open = os.open("/proc/self/status", os.O_RDONLY)
    os.set_inheritable(kept_open, True)
    try:
        seen = command.run(["ls", "/proc/self/fd"], 10).stdout.split()
    finally:
        os.close(kept_open)
    assert str(kept_open).encode() not in seen or kept_open <= 3


def test_a_program_runs_in_a_session_of_its_own() -> None:
    done = command.run(["/usr/bin/python3", "-c", "import os; print(os.getsid(0) == os.getpid())"], 10)
    assert done.stdout == b"True\n"


def test_a_started_program_is_not_waited_for() -> None:
    running = command.start(["sh", "-c", "sleep 0.3; echo done"], 10)
    try:
        assert running.poll() is None
        assert select.select([running], [], [], 10)[0]
        done = running.poll()
        assert done is not None and done.stdout == b"done\n"
    finally:
        running.close()


def test_a_started_program_that_is_not_there_says_so() -> None:
    running = command.start(["/no/such/program"], 10)
    done = wait_until(running.poll)
    running.close()
    assert isinstance(done, command.Completed)
    assert done.status is None and b"cannot be started" in done.stderr


def test_a_started_program_ends_at_its_deadline_also_when_nobody_looks(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    running = command.start(["sh", "-c", f"echo $$ > {pidfile}; exec sleep 60"], 0.5)
    running.close()
    wait_until(lambda: pidfile.exists() and pidfile.read_text().strip())
    key = proc.identify(int(pidfile.read_text()))
    wait_until(lambda: not proc.is_alive(key))
