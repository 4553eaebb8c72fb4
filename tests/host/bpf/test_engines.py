"""Every engine on the same workload: the same births and deaths, and it says what it cannot see."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import Iterator, List, Set, Tuple

import pytest

from tests.host.bpf.engines import (
    ALL,
    POLL_S,
    Family,
    born,
    collect,
    ended,
    family_program,
    opened,
    own_name,
    pids,
)
from tests.host.conftest import no_descriptor_kept
from watchdog.core.observation import ProcessEvent
from watchdog.host.bpf import Engine, Event, Sees
from watchdog.host.bpf.tracefs import ABSENT, read_layout

pytestmark = [pytest.mark.bpf, pytest.mark.usefixtures("probes")]

CHILDREN = 23  # a prime number: no batch or page size divides it
FOLLOWING_S = 0.3  # how long what must not come has time to come


@pytest.fixture(scope="module", params=ALL)
def running(request: pytest.FixtureRequest, probes: object) -> Iterator[Engine]:
    """One engine for all tests here: to detach takes most of a second."""
    with opened(request.param) as opening:
        yield opening.engine


@pytest.fixture
def engine(running: Engine) -> Iterator[Engine]:
    collect(running, lambda _: False, 2 * POLL_S)  # what the last test left to be told
    yield running
    running.unwatch(os.getpid())
    assert running.dropped() == 0


def tell_all(engine: Engine, family: Family) -> Tuple[List[Event], Set[int]]:
    """Let a family that holds its children live and end; what was seen, and the children."""
    family.start()
    events = collect(engine, born(family.count))
    family.release()
    events += collect(engine, ended(family.pid))
    return events, set(family.finish())


def test_same_births_and_deaths(engine: Engine) -> None:
    with Family(CHILDREN, hold=True) as family:
        engine.watch(family.pid)
        events, children = tell_all(engine, family)

    assert len(children) == CHILDREN
    births = [event for event in events if isinstance(event, ProcessEvent) and event.what == "fork"]
    assert {event.pid for event in births} == children
    assert len(births) == CHILDREN
    assert {event.other_pid for event in births} == {family.pid}
    assert pids(events, "exit") == {*children, family.pid}


def test_what_an_engine_says_it_sees_is_what_it_sees(engine: Engine) -> None:
    with Family(CHILDREN) as family:
        engine.watch(family.pid)
        statuses = family.run()
        events = [event for event in collect(engine, ended(family.pid)) if isinstance(event, ProcessEvent)]
    deaths = {event.pid: event.exit_status for event in events if event.what == "exit"}
    filenames = {event.filename for event in events if event.what == "exec"}

    assert (statuses.keys() <= deaths.keys()) == (Sees.BRIEF in engine.sees)
    assert (statuses.items() <= deaths.items()) == (Sees.EXIT_STATUS in engine.sees)
    assert (filenames == {family_program()}) == (Sees.FILENAME in engine.sees)


def test_names(engine: Engine) -> None:
    family_program("another")
    engine.watch(os.getpid())
    with Family(0, program="another") as family:
        events = collect(engine, lambda seen: family.pid in pids(seen, "exec"))
        family.run()
        events += collect(engine, ended(family.pid))
    named = [(event.what, event.comm) for event in events if isinstance(event, ProcessEvent)]
    own_name = named[0][1]
    assert own_name != "another"  # a child has its parent's name until it executes something
    assert named == [("fork", own_name), ("exec", "another"), ("exit", "another")]


def test_unrelated_processes_are_not_seen(engine: Engine) -> None:
    with Family(1, hold=True) as watched, Family(CHILDREN, hold=True) as unrelated:
        engine.watch(watched.pid)
        unrelated.start()
        unrelated.wait_for(lambda living: living == CHILDREN)
        events, children = tell_all(engine, watched)
        unrelated.finish()
        events += collect(engine, lambda _: False, FOLLOWING_S)
    assert {event.pid for event in events} == {*children, watched.pid}


def test_unwatched_is_not_seen(engine: Engine) -> None:
    with Family(CHILDREN, hold=True) as family:
        engine.watch(family.pid)
        engine.unwatch(family.pid)
        family.start()
        family.wait_for(lambda living: living == CHILDREN)
        assert collect(engine, lambda _: False, FOLLOWING_S) == []


def test_grandchildren_are_followed_and_elder_children_are_not(engine: Engine) -> None:
    with Family(0) as elder:
        engine.watch(os.getpid())
        with Family(1, hold=True) as family:
            events = collect(engine, born(1))
            later, grandchildren = tell_all(engine, family)
            events += later
    assert grandchildren <= pids(events, "fork")
    if engine.name != "polling":  # it cannot tell who was born before
        assert elder.pid not in pids(events, "fork")


def test_a_leaf_is_seen_and_its_children_are_not(engine: Engine) -> None:
    leaf = own_name("leaf")
    family_program(leaf)
    engine.end_lineage_at(leaf)
    engine.watch(os.getpid())
    with Family(CHILDREN, hold=True, program=leaf) as family:
        # polling has to see the name before there are children
        events = collect(engine, lambda seen: family.pid in pids(seen, "exec"))
        family.start()
        family.wait_for(lambda living: living == CHILDREN)
        events += collect(engine, lambda _: False, FOLLOWING_S)
        family.release()
        events += collect(engine, ended(family.pid))
    assert pids(events, "fork") == {family.pid} == pids(events, "exit")


def test_a_process_that_is_not_followed_is_seen_to_end(engine: Engine) -> None:
    with Family(CHILDREN, hold=True) as family:
        engine.watch(family.pid, follow=False)
        family.start()
        family.wait_for(lambda living: living == CHILDREN)
        events = collect(engine, lambda _: False, FOLLOWING_S)
        family.release()
        events += collect(engine, ended(family.pid))
    assert [(event.what, event.pid) for event in events] == [("exit", family.pid)]


def test_a_command_is_watched_from_its_exec_and_almost_the_same_name_is_not(engine: Engine) -> None:
    name = own_name("cmd")
    engine.watch_command(name)
    with Family(1, hold=True, program=name) as client, Family(1, hold=True, program=name + "x") as other:
        other.start()
        other.wait_for(lambda living: living == 1)
        events = collect(engine, lambda seen: client.pid in pids(seen, "exec"))
        later, children = tell_all(engine, client)
    assert {event.pid for event in [*events, *later]} == {client.pid, *children}


def test_signals(engine: Engine) -> None:
    """SIGCONT counts as ignored in the kernel's record and must be told all the same."""
    sent = [signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL]
    with Family(0) as waiting:
        engine.watch(waiting.pid)
        for number in sent:
            os.kill(waiting.pid, number)
        events = collect(engine, ended(waiting.pid))
    signals = [event for event in events if isinstance(event, ProcessEvent) and event.what == "signal"]
    assert [event.signal for event in signals] == (sent if Sees.SIGNAL in engine.sees else [])
    assert {event.other_pid for event in signals} == (
        {os.getpid()} if Sees.SIGNAL_SENDER in engine.sees else set()
    )
    assert {event.comm for event in signals} <= {"family"}


def test_a_signal_of_the_kernel_has_no_sender(engine: Engine) -> None:
    code = """
import signal, sys
sys.stdin.readline()
signal.setitimer(signal.ITIMER_VIRTUAL, 0.02)
while True:
    pass
"""
    with subprocess.Popen(["/usr/bin/python3", "-I", "-c", code], stdin=subprocess.PIPE) as process:
        engine.watch(process.pid)
        process.communicate(b"\n", timeout=20)
        events = collect(engine, ended(process.pid))
    seen = [event for event in events if isinstance(event, ProcessEvent) and event.what == "signal"]
    alarm = [(signal.SIGVTALRM, 0)] if Sees.SIGNAL in engine.sees else []
    assert [(event.signal, event.other_pid) for event in seen] == alarm


def test_sigchld_is_left_out(engine: Engine) -> None:
    """Each death of a child sends one to the watched parent; the death itself is told."""
    with Family(CHILDREN) as family:
        engine.watch(family.pid)
        family.run()
        events = collect(engine, ended(family.pid))
    assert pids(events, "signal") == set()


def test_threads_are_no_processes(engine: Engine) -> None:
    """Neither their births nor their deaths are told, and a signal after them still is."""
    code = """
import sys, threading
sys.stdin.readline()
for thread in [threading.Thread(target=int) for _ in range(23)]:
    thread.start()
    thread.join()
print("no threads are left", flush=True)
sys.stdin.readline()
"""
    argv = ["/usr/bin/python3", "-I", "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        engine.watch(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
        events = collect(engine, ended(process.pid))
    told = [event.what for event in events if event.what != "exec"]
    assert told == (["signal", "exit"] if Sees.SIGNAL in engine.sees else ["exit"])
    assert {event.pid for event in events} == {process.pid}


def test_a_thread_that_executes_a_program_is_no_death(engine: Engine) -> None:
    """The main thread ends then, and the process lives on."""
    if engine.name == "proc_connector" or read_layout().offsets["sched_process_exit__group_dead"] == ABSENT:
        pytest.skip("the kernel does not tell this engine which thread was the last")
    code = (
        "import os, sys, threading; sys.stdin.readline();"
        f"threading.Thread(target=os.execv, args=({family_program()!r}, ['family', '0', '0', '0'])).start()"
    )
    argv = ["/usr/bin/python3", "-I", "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        engine.watch(process.pid)
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
        events = collect(engine, lambda seen: process.pid in pids(seen, "exec"))
        process.stdin.close()
        events += collect(engine, ended(process.pid))
    named = [(event.what, event.comm) for event in events if isinstance(event, ProcessEvent)]
    assert named[-2:] == [("exec", "family"), ("exit", "family")]
    assert [what for what, _ in named].count("exit") == 1


def test_the_descriptor_tells_when_there_is_something(engine: Engine) -> None:
    descriptor = engine.fileno()
    if descriptor is None:
        assert engine.name == "polling"
        return
    with Family(1) as family:
        engine.watch(family.pid)
        family.run()
        assert select.select([descriptor], [], [], 5.0)[0] == [descriptor]


@pytest.mark.parametrize("name", ALL)
def test_closing_gives_everything_back(name: str) -> None:
    with opened(name):
        pass  # what stays for good (a library) is there now
    children = _children()
    with no_descriptor_kept(), opened(name) as opening:
        opening.engine.watch(os.getpid())
    assert len(_children()) == len(children)


def _children() -> List[bytes]:
    argv = ["ps", "--ppid", str(os.getpid()), "-o", "pid="]
    return subprocess.run(argv, capture_output=True, check=True, timeout=10).stdout.split()
