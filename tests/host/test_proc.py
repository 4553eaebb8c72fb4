"""host/proc: what /proc says of a process, and that it is never another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.host.conftest import Spawn, no_descriptor_kept, wait_until
from tests.host.recycle import child_with_pid
from watchdog.core.observation import ProcessKey
from watchdog.errors import ProcessGone
from watchdog.host import proc

# /proc/PID/stat of Linux 6.18 (x86_64) and 5.10 (aarch64); the names are what a process may call itself.
STAT_6_18 = (
    b"5544 (cat) R 5539 5539 2955 0 -1 4194304 101 0 0 0 7 5 0 0 20 0 1 0 93363 3133440 379 "
    b"18446744073709551615 94683415609344 94683415629225 140731098195536 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 "
    b"94683415645232 94683415646848 94684380434432 140731098200573 140731098200625 140731098200625 "
    b"140731098202091 0\n"
)
STAT_5_10 = (
    b"2391 (unpigz) S 1807 1807 1807 0 -1 1077936128 166 0 0 0 31 12 0 0 20 0 3 0 48122 19972096 425 "
    b"18446744073709551615 187650009595904 187650009693676 281474213364880 0 0 0 0 0 16386 0 0 0 17 1 0 0 "
    b"0 0 0 "
    b"187650009759976 187650009761504 187650420416512 281474213365520 281474213365541 281474213365541 "
    b"281474213367782 0\n"
)
STATUS_5_10 = (
    b"Name:\tunpigz\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t2391\nNgid:\t0\nPid:\t2391\nPPid:\t1807\n"
    b"TracerPid:\t2544\nUid:\t0\t0\t0\t0\nNSpid:\t2391\nVmPeak:\t   19504 kB\nThreads:\t3\n"
    b"voluntary_ctxt_switches:\t4021\nnonvoluntary_ctxt_switches:\t37\n"
)
IO = b"rchar: 8676\nwchar: 1700\nsyscr: 14\nsyscw: 2\nread_bytes: 0\nwrite_bytes: 0\n"


def test_stat_of_two_kernels_is_parsed() -> None:
    assert proc.parse_stat(STAT_6_18) == proc.Stat("cat", "R", 5539, 12, 93363)
    assert proc.parse_stat(STAT_5_10) == proc.Stat("unpigz", "S", 1807, 43, 48122)


@pytest.mark.parametrize("name", [b"a) R 1 (b", b")", b"((", b"a b", b"\n", b"\xff\xfe"])
def test_a_name_cannot_forge_the_other_fields(name: bytes) -> None:
    stat = proc.parse_stat(STAT_5_10.replace(b"unpigz", name))
    assert stat.comm == name.decode("utf-8", "replace")
    assert (stat.state, stat.parent_pid, stat.start_ticks) == ("S", 1807, 48122)


def test_status_is_parsed() -> None:
    assert proc.parse_status(STATUS_5_10) == proc.Status(2544, 4058, 1)
    nested = STATUS_5_10.replace(b"NSpid:\t2391", b"NSpid:\t2391\t17\t1")
    assert proc.parse_status(nested).namespace_depth == 3


def test_a_status_without_switches_is_unknown_and_not_zero() -> None:
    assert proc.parse_status(b"Name:\tkthreadd\nTracerPid:\t0\n").switches is None


def test_io_is_parsed() -> None:
    assert proc.parse_io(IO) == proc.Counters(8676, 1700)


@pytest.mark.parametrize(
    ("machine", "text", "wait"),
    [
        ("x86_64", b"0 0x3 0x7f1335154000 0x20000 0x7f13351e7b60 0xffffffff 0x0 0x7ffd 0x7f13\n", "read:3"),
        ("x86_64", b"1 0x1 0x55 0x20000 0x0 0x0 0x0 0x7ffd 0x7f13\n", "write:1"),
        ("aarch64", b"63 0x0 0xffff9c0b2010 0x8000 0x0 0x0 0x0 0xffffe 0xffff\n", "read:0"),
        ("aarch64", b"64 0x1 0xffff9c0b2010 0x8000 0x0 0x0 0x0 0xffffe 0xffff\n", "write:1"),
        ("aarch64", b"0 0x3 0x0 0x0 0x0 0x0 0x0 0xffffe 0xffff\n", "nr:0"),
        ("x86_64", b"202 0x7f 0x80 0x0 0x0 0x0 0x0 0x7ffd 0x7f13\n", "nr:202"),
        ("x86_64", b"running\n", "running"),
        ("x86_64", b"-1 0x7ffe3c0 0x401136\n", "nr:-1"),
        ("x86_64", b"", "running"),
    ],
)
def test_waits_are_named_by_the_numbers_of_the_architecture(machine: str, text: bytes, wait: str) -> None:
    assert proc.parse_wait(text, machine) == wait


def test_a_reading_process_is_seen_reading(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with no_descriptor_kept(), proc.Process(child.pid) as process:
        wait_until(lambda: process.states_and_waits() == ("S", ("read:0",)))
        stat = process.stat()
        assert (stat.comm, stat.parent_pid) == ("cat", os.getpid())
        exe = process.exe()
        assert exe is not None
        file = Path(exe.path).stat()
        assert (exe.device, exe.inode) == (file.st_dev, file.st_ino)
        assert process.status().tracer_pid == 0


def test_what_went_through_its_pipes_is_counted(spawn: Spawn) -> None:
    child = spawn("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    with proc.Process(child.pid) as process:
        wait_until(lambda: process.states_and_waits()[1] == ("read:0",))
        before = process.io()
        child.stdin.write(b"x" * 5000)
        child.stdin.flush()
        assert len(child.stdout.read(5000)) == 5000
        after = process.io()
    assert after.read_bytes - before.read_bytes == 5000
    assert after.written_bytes - before.written_bytes == 5000


def test_a_stopped_process_is_seen_stopped_in_all_its_threads(spawn: Spawn) -> None:
    threads = "import threading,time; [threading.Thread(target=time.sleep,args=(60,)).start() for _ in '12']"
    child = spawn(sys.executable, "-c", threads)
    with proc.Process(child.pid) as process:
        wait_until(lambda: process.states() == "SSS")
        os.kill(child.pid, signal.SIGSTOP)
        wait_until(lambda: process.states() == "TTT")
        os.kill(child.pid, signal.SIGCONT)
        wait_until(lambda: process.states() == "SSS")


def test_children_of_every_thread_are_found_and_grandchildren_are_not(spawn: Spawn) -> None:
    code = (
        "import subprocess,threading,time\n"
        "def go():\n"
        "    subprocess.Popen(['sh','-c','sleep 60; true']); time.sleep(60)\n"
        "threading.Thread(target=go).start(); subprocess.Popen(['sleep','60']); time.sleep(60)\n"
    )
    child = spawn(sys.executable, "-c", code, start_new_session=True)
    try:
        with proc.Process(child.pid) as process:
            wait_until(lambda: len(process.children()) == 2)
            assert process.children() == proc.children_by_walk(child.pid)
    finally:
        os.killpg(child.pid, signal.SIGKILL)


def test_positions_and_sizes_of_open_files_are_seen(tmp_path: Path, spawn: Spawn) -> None:
    path = tmp_path / "GetImageBlob1"
    path.write_bytes(b"x" * 1000)
    with path.open("rb") as file:
        file.seek(600)
        child = spawn("sleep", "60", stdin=file)
        with proc.Process(child.pid) as process:
            assert (0, str(path)) in process.descriptors()
            assert process.position_and_size(0) == (600, 1000)
            assert process.position_and_size(99) is None
            assert process.descriptor(99) is None


def test_a_zombie_is_there_and_has_no_file(spawn: Spawn) -> None:
    child = spawn("true")
    with proc.Process(child.pid) as process:
        wait_until(lambda: process.stat().state == "Z")
        assert process.exe() is None
        assert process.states() == "Z"
        assert process.descriptors() == []
        assert process.children() == []


def test_a_dead_process_is_gone_in_every_question(spawn: Spawn) -> None:
    child = spawn("sleep", "60")
    with no_descriptor_kept(), proc.Process(child.pid) as process:
        child.kill()
        child.wait()
        questions = [
            process.stat, process.status, process.io, process.exe, process.states,
            process.states_and_waits, process.children, process.descriptors, process.cgroup,
        ]  # fmt: skip
        for question in questions:
            with pytest.raises(ProcessGone):
                question()
    with pytest.raises(ProcessGone):
        proc.Process(child.pid)
    assert not proc.is_alive(ProcessKey(child.pid, 1))


def test_a_later_process_with_the_same_pid_is_another_one(spawn: Spawn) -> None:
    first = spawn("sleep", "60")
    handle = proc.Process(first.pid)
    try:
        first.kill()
        first.wait()
        time.sleep(0.03)  # start times are counted in ticks of 10 ms
        if not child_with_pid(first.pid):
            pytest.skip("this kernel does not let us choose a pid")
        try:
            assert proc.identify(first.pid) != handle.key
            with pytest.raises(ProcessGone):
                handle.stat()
            with pytest.raises(ProcessGone):
                proc.open_process(handle.key)
            assert not proc.is_alive(handle.key)
        finally:
            os.kill(first.pid, signal.SIGKILL)
            os.waitpid(first.pid, 0)
    finally:
        handle.close()


def test_a_process_is_itself(spawn: Spawn) -> None:
    key = proc.identify(spawn("sleep", "60").pid)
    with proc.open_process(key) as process:
        assert process.key == key
    assert proc.is_alive(key)
