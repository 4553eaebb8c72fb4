"""The opening moves: the very process that was seen, or nothing is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import List

import pytest

from tests.host.recycle import child_with_pid
from tests.lab import faults
from tests.lab.processes import wait_until
from watchdog.act import identity
from watchdog.act.identity import held, held_as_seen
from watchdog.core.observation import ProcessKey, ProcessSample
from watchdog.errors import ProcessGone, Refused
from watchdog.host import proc


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait(10)


def seen(pid: int) -> ProcessSample:
    with proc.Process(pid) as process:
        return ProcessSample(process.key, process.stat().parent_pid, process.stat().comm, process.exe())


class TestHolding:
    def test_the_process_that_was_seen(self, sleeper: subprocess.Popen[bytes]) -> None:
        with held_as_seen(seen(sleeper.pid)) as subject:
            assert subject.name == f"sleep (pid {sleeper.pid})"
            subject.send(signal.SIGTERM)
            assert subject.ends_within(10.0)
        assert sleeper.wait(10) == -signal.SIGTERM

    def test_one_that_has_ended_is_refused(self, sleeper: subprocess.Popen[bytes]) -> None:
        sample = seen(sleeper.pid)
        sleeper.kill()
        sleeper.wait(10)

        with pytest.raises(Refused, match=f"process {sleeper.pid} "), held_as_seen(sample):
            pass

    def test_one_that_has_left_a_group_behind_has_ended_too(self) -> None:
        """Its number is still in use, as the name of a group."""
        shell = subprocess.Popen(
            ["sh", "-c", "sleep 60 & echo $!; read never"],
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert shell.stdin is not None and shell.stdout is not None
        left = int(shell.stdout.readline())
        try:
            sample = seen(shell.pid)
            shell.kill()
            shell.wait(10)
            os.killpg(shell.pid, 0)

            with pytest.raises(Refused, match=f"process {shell.pid} has ended"), held_as_seen(sample):
                pass
        finally:
            os.kill(left, signal.SIGKILL)
            shell.stdin.close()
            shell.stdout.close()

    def test_one_whose_pid_was_recycled_is_refused_and_unharmed(self) -> None:
        first = subprocess.Popen(["sleep", "60"])
        sample = seen(first.pid)
        first.kill()
        first.wait(10)
        time.sleep(0.05)  # start times are told in ticks of 10 ms
        if not child_with_pid(first.pid):
            pytest.skip("the kernel does not let us choose a pid")
        try:
            with pytest.raises(Refused, match="its pid belongs to a later process"), held_as_seen(sample):
                pass
            os.kill(first.pid, 0)
        finally:
            os.kill(first.pid, signal.SIGKILL)
            os.waitpid(first.pid, 0)

    def test_one_that_runs_another_file_by_now_is_refused(self) -> None:
        script = "import os, sys; sys.stdin.read(1); os.execv('/bin/sleep', ['sleep', '60'])"
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
            sample = seen(process.pid)
            assert process.stdin is not None
            process.stdin.close()
            wait_until(lambda: seen(process.pid).comm == "sleep", "it runs another file")

            with pytest.raises(Refused, match="/sleep now"), held_as_seen(sample):
                pass
            process.kill()

    def test_one_whose_file_was_never_seen_is_refused(self, sleeper: subprocess.Popen[bytes]) -> None:
        sample = replace(seen(sleeper.pid), exe=None)

        with pytest.raises(Refused, match="which file"), held_as_seen(sample):
            pass

    def test_a_process_that_ends_in_between_is_no_longer_signalled(
        self, sleeper: subprocess.Popen[bytes]
    ) -> None:
        with held(seen(sleeper.pid).key) as subject:
            sleeper.kill()
            sleeper.wait(10)
            with pytest.raises(ProcessGone):
                subject.send(signal.SIGTERM)

    def test_no_descriptor_is_left_behind(self, sleeper: subprocess.Popen[bytes]) -> None:
        before = os.listdir("/proc/self/fd")
        with held_as_seen(seen(sleeper.pid)):
            pass
        with pytest.raises(Refused), held(ProcessKey(sleeper.pid, 1)):
            pass

        assert os.listdir("/proc/self/fd") == before


class TestDescent:
    """python -> sh -> sleep"""

    @pytest.fixture
    def family(self) -> Iterator[List[int]]:
        shell = subprocess.Popen(["sh", "-c", "sleep 60; true"])
        child = wait_until(lambda: proc.children_by_walk(shell.pid), "the shell has a child")[0]
        yield [shell.pid, child]
        os.kill(child, signal.SIGKILL)
        shell.wait(10)

    def test_a_child_and_a_grandchild_descend(self, family: List[int]) -> None:
        for pid in family:
            with held(proc.identify(pid)) as subject:
                identity.check_descent(subject, proc.identify(os.getpid()))

    def test_a_stranger_does_not(self, family: List[int]) -> None:
        with held(proc.identify(os.getppid())) as subject, pytest.raises(Refused, match="does not descend"):
            identity.check_descent(subject, proc.identify(family[0]))

    def test_an_orphan_does_not_any_more(self, family: List[int]) -> None:
        shell, child = family
        key = proc.identify(shell)
        os.kill(shell, signal.SIGKILL)
        wait_until(lambda: seen(child).parent_pid != shell, "the child has another parent")

        with held(proc.identify(child)) as subject, pytest.raises(Refused, match="does not descend"):
            identity.check_descent(subject, key)


class TestHandsOff:
    def test_a_free_process_may_be_touched(self, sleeper: subprocess.Popen[bytes]) -> None:
        with held(proc.identify(sleeper.pid)) as subject:
            identity.check_not_held(subject)

    def test_a_stopped_one_too(self, sleeper: subprocess.Popen[bytes]) -> None:
        with faults.stopped(sleeper.pid), held(proc.identify(sleeper.pid)) as subject:
            identity.check_not_held(subject)

    def test_a_traced_one_may_not(self, sleeper: subprocess.Popen[bytes]) -> None:
        key = proc.identify(sleeper.pid)
        with faults.traced(key.pid) as debugger, held(key) as subject, pytest.raises(Refused) as caught:
            identity.check_not_held(subject)

        assert f"traced by process {debugger}" in str(caught.value)


class TestSignals:
    def test_a_pending_kill_shows_only_until_it_is_delivered(self, sleeper: subprocess.Popen[bytes]) -> None:
        with held(proc.identify(sleeper.pid)) as subject:
            assert not identity.kill_is_pending(subject.process)

    def test_a_handler_is_told_from_none(self, sleeper: subprocess.Popen[bytes]) -> None:
        with held(proc.identify(sleeper.pid)) as subject:
            assert not identity.handles(subject.process, signal.SIGUSR1)
        before = signal.signal(signal.SIGUSR1, lambda *_: None)
        try:
            with held(proc.identify(os.getpid())) as ourselves:
                assert identity.handles(ourselves.process, signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)
