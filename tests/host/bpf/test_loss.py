"""Loss: none where the filter works, and counted to the last event where the ring is too small."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.host.bpf.engines import WITH_PROBES, Family, collect, ended, opened, pids
from watchdog.host.bpf import Sees

pytestmark = [pytest.mark.bpf, pytest.mark.usefixtures("probes")]

RELEVANT = 211
UNRELATED = 20_000
STORM_DEADLINE_S = 60.0
EVENTS_OF_A_CHILD = 3  # fork, exec, exit


@pytest.mark.parametrize("name", [*WITH_PROBES, "proc_connector"])
def test_20000_unrelated_processes_cost_no_relevant_event(name: str) -> None:
    with opened(name) as opening, ExitStack() as processes:
        storms = [processes.enter_context(Family(UNRELATED // 2)) for _ in range(2)]
        family = processes.enter_context(Family(RELEVANT, pause_us=15_000))
        engine = opening.engine
        engine.watch(family.pid)
        for process in (*storms, family):
            process.start()
        began = time.monotonic()
        events = collect(engine, ended(family.pid), STORM_DEADLINE_S)
        children = set(family.finish())
        for storm in storms:
            storm.finish()
        unrelated = sum(storm.ended for storm in storms)
        print(f"{name}: {unrelated} unrelated processes in {time.monotonic() - began:.1f} s")

    assert unrelated == UNRELATED
    assert pids(events, "fork") == children
    assert pids(events, "exit") == {*children, family.pid}
    assert len(events) == RELEVANT * EVENTS_OF_A_CHILD + 1
    assert Sees.BRIEF in engine.sees


@pytest.mark.parametrize("name", WITH_PROBES)
def test_a_reader_that_sleeps_loses_events_and_knows_how_many(name: str) -> None:
    with opened(name, ring_bytes=4096) as opening, Family(RELEVANT) as family:
        opening.engine.watch(family.pid)
        family.run()
        assert opening.engine.dropped() > 0
        events = opening.engine.read()
        assert len(events) + opening.engine.dropped() == RELEVANT * EVENTS_OF_A_CHILD + 1
        assert opening.engine.read() == []


@pytest.mark.parametrize("name", WITH_PROBES)
def test_a_full_list_of_watched_processes_is_told(name: str) -> None:
    nobody = range(5_000_000, 5_000_000 + 5000)  # no pid is that high
    with opened(name) as opening, Family(23, hold=True) as family:
        engine = opening.engine
        assert engine.watch(family.pid)
        room = sum(engine.watch(pid) for pid in nobody)
        assert 4000 < room < 4096
        family.start()
        births = collect(engine, lambda events: len(pids(events, "fork")) == 23)
        assert len(births) == 23  # births are told; what becomes of them cannot be
        assert engine.dropped() == 23


@pytest.mark.parametrize("name", WITH_PROBES)
def test_a_batch_is_bounded_and_nothing_of_the_rest_is_lost(name: str) -> None:
    count = 4999  # more than the list of watched processes holds: each death makes room
    with opened(name, ring_bytes=4 << 20) as opening, Family(count) as family:
        opening.engine.watch(family.pid)
        family.run()
        batches = [len(opening.engine.read()) for _ in range(6)]
        assert opening.engine.dropped() == 0
    assert sum(batches) == count * EVENTS_OF_A_CHILD + 1
    assert max(batches) == 4096
