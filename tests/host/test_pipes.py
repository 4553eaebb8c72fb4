"""host/pipes: how full a pipe of another process is, without becoming part of it."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, wait_until
from watchdog.core.observation import PipeEnd
from watchdog.errors import ProcessGone
from watchdog.host import pipes
from watchdog.host.proc import Process

PIPE_BYTES = 65536


def test_an_empty_pipe_has_room_and_a_reader(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    with Process(child.pid) as process:
        assert pipes.look(process, 0) == PipeEnd(os.fstat(child.stdin.fileno()).st_ino, 0, None, False)
        assert pipes.look(process, 1) == PipeEnd(os.fstat(child.stdout.fileno()).st_ino, 0, True, None)


def test_a_full_input_is_seen_behind_a_stopped_process(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    os.kill(child.pid, signal.SIGSTOP)
    os.set_blocking(child.stdin.fileno(), False)
    with Process(child.pid) as process:
        wait_until(lambda: process.states() == "T")
        assert os.write(child.stdin.fileno(), b"x" * 2 * PIPE_BYTES) == PIPE_BYTES
        end = pipes.look(process, 0)
        assert end is not None and end.fill_bytes == PIPE_BYTES
        assert pipes.look(process, 1) is None  # /dev/null


def test_a_pipe_that_takes_no_more_is_full_also_far_below_its_capacity(spawn: Spawn) -> None:
    # Pieces of 2049 bytes take a page each, so the pipe is full when it holds half of what it could.
    code = "import os\nwhile True: os.write(1, b'x' * 2049)"
    child = spawn("/usr/bin/python3", "-c", code, stdout=subprocess.PIPE)
    assert child.stdout is not None
    with Process(child.pid) as process:
        wait_until(lambda: process.states_and_waits()[1] == ("write:1",))
        full = pipes.look(process, 1)
        assert full is not None and full.fill_bytes is not None
        assert full.has_room is False
        assert full.fill_bytes < PIPE_BYTES
        assert child.stdout.read(1)


def test_an_input_that_nobody_can_fill_any_more_is_hung_up(spawn: Spawn) -> None:
    child = spawn("sleep", "60", stdin=subprocess.PIPE)
    assert child.stdin is not None
    with Process(child.pid) as process:
        before = pipes.look(process, 0)
        assert before is not None and before.hung_up is False
        child.stdin.close()
        after = pipes.look(process, 0)
        assert after is not None and after.hung_up is True


def test_what_is_no_pipe_is_nothing(spawn: Spawn) -> None:
    child = spawn("sleep", "60", stdin=subprocess.DEVNULL)
    with Process(child.pid) as process:
        assert pipes.look(process, 0) is None
        assert pipes.look(process, 77) is None


def test_no_descriptor_is_kept_whatever_happens(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with no_descriptor_kept(), Process(child.pid) as process:
        for number in (0, 1, 2, 77):
            pipes.look(process, number)
        with pytest.raises(ZeroDivisionError):
            pipes.with_duplicate(process, 0, lambda descriptor: descriptor // 0)
        child.kill()
        child.wait()
        with pytest.raises(ProcessGone):
            pipes.look(process, 0)


def test_a_pipe_that_was_looked_at_still_ends_with_its_process(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    with Process(child.pid) as process:
        pipes.look(process, 0)
        pipes.look(process, 1)
        child.kill()
        assert child.stdout.read() == b""  # its end, at once
        child.wait()
        with pytest.raises(BrokenPipeError):
            os.write(child.stdin.fileno(), b"x")
