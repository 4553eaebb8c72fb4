"""host/sampling: one process at one moment, also when somebody holds it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, wait_until
from tests.lab.faults import traced
from watchdog.errors import ProcessGone
from watchdog.host import cgroup, proc, sampling


def test_a_stage_is_sampled_with_its_pipes_and_waits(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    key = proc.identify(child.pid)
    hierarchies = cgroup.find_hierarchies()
    with no_descriptor_kept():
        wait_until(lambda: sampling.sample_stage(key, hierarchies).waits == ("read:0",))
        seen = sampling.sample_stage(key, hierarchies)
    assert (seen.key, seen.parent_pid, seen.comm, seen.states) == (key, os.getpid(), "cat", "S")
    assert seen.stdin is not None and seen.stdin.inode == os.fstat(child.stdin.fileno()).st_ino
    assert seen.stdout is not None and seen.stdout.has_room
    assert (seen.tracer_pid, seen.frozen) == (0, False)
    assert None not in (seen.exe, seen.read_bytes, seen.written_bytes, seen.cpu_ticks, seen.switches)


def test_a_daemon_is_sampled_without_pipes_and_waits(spawn: Spawn) -> None:
    key = proc.identify(spawn("cat", stdin=subprocess.PIPE).pid)
    seen = sampling.sample_daemon(key, cgroup.find_hierarchies())
    assert (seen.stdin, seen.stdout, seen.waits) == (None, None, ())
    assert len(seen.states) == 1


def test_a_stopped_process_is_neither_traced_nor_frozen(spawn: Spawn) -> None:
    child = spawn("sleep", "60")
    key = proc.identify(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    wait_until(lambda: sampling.sample_stage(key, cgroup.find_hierarchies()).states == "T")
    seen = sampling.sample_stage(key, cgroup.find_hierarchies())
    assert (seen.tracer_pid, seen.frozen) == (0, False)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("gdb") is None, reason="needs root and gdb")
def test_a_traced_process_names_who_traces_it(spawn: Spawn) -> None:
    child = spawn("sleep", "60")
    key = proc.identify(child.pid)
    with traced(child.pid) as gdb:
        seen = sampling.sample_stage(key, cgroup.find_hierarchies())
        assert (seen.states, seen.tracer_pid) == ("t", gdb)
    wait_until(lambda: sampling.sample_stage(key, cgroup.find_hierarchies()).tracer_pid == 0)


def test_the_dead_are_gone(spawn: Spawn) -> None:
    child = spawn("sleep", "60")
    key = proc.identify(child.pid)
    child.kill()
    child.wait()
    with pytest.raises(ProcessGone):
        sampling.sample_stage(key, cgroup.find_hierarchies())
