"""host/birth and host/deadline: what a process was started with, without being held by it."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.host.conftest import Spawn, wait_until
from watchdog.core.observation import ProcessKey
from watchdog.errors import Deadline, ProcessGone, Unavailable
from watchdog.host import birth, deadline, proc


def test_arguments_and_environment_are_read(spawn: Spawn) -> None:
    environment = {"PATH": "/usr/bin:/bin", "EMPTY": "", "A": "b=c"}
    argv = ("/usr/bin/python3", "-c", "input()", "", "two words")
    child = spawn(*argv, env=environment, stdin=subprocess.PIPE)
    key = proc.identify(child.pid)
    wait_until(lambda: birth.arguments(key)[:1] == ("/usr/bin/python3",))
    assert birth.arguments(key) == argv
    assert birth.environment(key) == environment


def test_a_zombie_has_no_arguments_and_the_dead_are_gone(spawn: Spawn) -> None:
    child = spawn("true")
    key = proc.identify(child.pid)
    wait_until(lambda: proc.Process(child.pid).stat().state == "Z")
    assert birth.arguments(key) == ()
    child.wait()
    with pytest.raises(ProcessGone):
        birth.arguments(key)


def test_a_later_process_with_the_pid_is_not_asked(spawn: Spawn) -> None:
    key = proc.identify(spawn("sleep", "60").pid)
    with pytest.raises(ProcessGone):
        birth.arguments(ProcessKey(key.pid, key.start_ticks - 1))


def test_arguments_that_never_come_cost_a_deadline_and_then_nothing(tmp_path: Path) -> None:
    key = ProcessKey(4711, 48122)
    folder = tmp_path / str(key.pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{key.pid} (unpigz) D 1 {'0 ' * 17}{key.start_ticks} 0\n")
    os.mkfifo(folder / "cmdline")  # whoever opens it waits, as for the memory lock of a stuck task
    for _ in range(deadline.MOST_LEFT_BEHIND):
        begun = time.monotonic()
        with pytest.raises(Deadline, match="cmdline of process 4711 did not come back"):
            birth.arguments(key, str(tmp_path), deadline_s=0.1)
        assert time.monotonic() - begun < 2
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="earlier calls still hang"):
        birth.arguments(key, str(tmp_path), deadline_s=10)
    assert time.monotonic() - begun < 2
    with (folder / "cmdline").open("w"):
        pass  # they read its end, and are let go
    wait_until(lambda: _answers(os.getpid()))


def _answers(pid: int) -> bool:
    try:
        return bool(birth.arguments(proc.identify(pid)))
    except Unavailable:
        return False


def test_a_call_gives_its_result_or_its_error() -> None:
    assert deadline.within(5, "a sum", lambda: 1 + 1) == 2
    assert deadline.within(5, "nothing", lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        deadline.within(5, "a division", lambda: 1 / 0)


def test_a_call_that_is_slow_but_in_time_is_waited_for() -> None:
    assert deadline.within(10, "a nap", lambda: time.sleep(0.2)) is None


def test_a_late_call_is_left_behind_until_it_ends() -> None:
    go_on = threading.Event()
    with pytest.raises(Deadline, match=r"a wait did not come back within 0\.05 s"):
        deadline.within(0.05, "a wait", lambda: go_on.wait(10))
    assert deadline.within(5, "a sum", lambda: 1 + 1) == 2
    go_on.set()
