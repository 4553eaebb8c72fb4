"""The kernel sensor on real processes: seeded without a gap, healed after a loss, nothing twice."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from typing import Callable, Iterable, Iterator, List, Tuple

import pytest

from tests.host.bpf.engines import ALL, WITH_PROBES, Family, engine_or_skip, own_name, probes_fixture
from watchdog.core.observation import Observation, ProcessEvent, SensorState
from watchdog.sense.kernel import NAME, KernelSensor

__all__ = ["probes_fixture"]

pytestmark = [pytest.mark.bpf, pytest.mark.usefixtures("probes")]

CHILDREN = 23
MANY = 211
TINY_RING_BYTES = 4096
AFTERMATH_S = 0.1  # two processors' events may cross: a parent's death may come before its child's


@contextmanager
def sensing(name: str, clients: Tuple[str, ...] = (), ring_bytes: int = 256 * 1024) -> Iterator[KernelSensor]:
    """A sensor that takes none of the machine's real `docker` commands for its clients."""
    sensor = KernelSensor(engine_or_skip(name, ring_bytes), clients)
    try:
        yield sensor
    finally:
        sensor.close()


def read_until(
    sensor: KernelSensor, enough: Callable[[List[Observation]], bool], deadline_s: float = 20.0
) -> List[Observation]:
    observations: List[Observation] = []
    until = time.monotonic() + deadline_s
    while not enough(observations) and time.monotonic() < until:
        observations += sensor.read()
        time.sleep(0.02)
    time.sleep(AFTERMATH_S)
    return observations + sensor.read()


def told(observations: List[Observation], what: str) -> Counter[int]:
    """How often it was told of each process."""
    return Counter(
        event.pid for event in observations if isinstance(event, ProcessEvent) and event.what == what
    )


def losses(observations: List[Observation]) -> List[str]:
    states = [state for state in observations if isinstance(state, SensorState)]
    return [state.detail for state in states if "lost" in state.detail]


def dead(pid: int) -> Callable[[List[Observation]], bool]:
    return lambda observations: pid in told(observations, "exit")


def born(count: int) -> Callable[[List[Observation]], bool]:
    return lambda observations: len(told(observations, "fork")) >= count


def executed(count: int) -> Callable[[List[Observation]], bool]:
    return lambda observations: len(told(observations, "exec")) >= count


def pause_for_resync() -> None:
    """The sensor looks into /proc once a second at most."""
    time.sleep(1.05)


@pytest.fixture(params=ALL)
def sensor(request: pytest.FixtureRequest) -> Iterator[KernelSensor]:
    with sensing(request.param) as running:
        yield running


# --- which engine ------------------------------------------------------------------


def test_it_says_which_engine_is_in_use(sensor: KernelSensor) -> None:
    first = sensor.read()
    assert first == [SensorState(NAME, True, sensor.engine.name)]
    assert sensor.read() == []


# --- seeding -----------------------------------------------------------------------


def tell_all(sensor: KernelSensor, family: Family) -> Tuple[List[Observation], Iterable[int]]:
    """Let a family that holds its children live and end; what was told, and the children."""
    family.start()
    observations = read_until(sensor, born(family.count))
    family.release()
    observations += read_until(sensor, dead(family.pid))
    return observations, family.finish().keys()


def test_who_lives_already_is_told_with_the_true_time_of_birth(sensor: KernelSensor) -> None:
    before_ns = time.monotonic_ns()
    with Family(CHILDREN, hold=True) as family:
        family.start()
        family.wait_for(lambda living: living == CHILDREN)
        born_by_ns = time.monotonic_ns()
        sensor.runtime_changed(family.pid)
        observations = read_until(sensor, born(CHILDREN))
        family.release()
        observations += read_until(sensor, dead(family.pid))
        children = family.finish().keys()
    births = [event for event in observations if isinstance(event, ProcessEvent) and event.what == "fork"]
    assert told(observations, "fork") == Counter(children)  # the runtime itself is known already
    assert told(observations, "exit") == Counter([*children, family.pid])
    assert {event.other_pid for event in births} == {family.pid}
    assert all(before_ns - 20_000_000 <= event.at_ns <= born_by_ns for event in births)


def test_nobody_is_missed_or_told_twice_while_seeding(sensor: KernelSensor) -> None:
    with Family(MANY, hold=True, pause_us=2000) as family:
        family.start()
        family.wait_for(lambda living: living >= MANY // 3)
        sensor.runtime_changed(family.pid)
        observations = read_until(sensor, born(MANY))
        family.release()
        observations += read_until(sensor, dead(family.pid), 60.0)
        children = family.finish().keys()
    assert told(observations, "fork") == Counter(children)
    assert told(observations, "exit") == Counter([*children, family.pid])
    assert losses(observations) == []


def test_grandchildren_are_followed(sensor: KernelSensor) -> None:
    with Family(1, hold=True) as family:
        sensor.runtime_changed(os.getpid())
        observations = read_until(sensor, born(1))
        later, grandchildren = tell_all(sensor, family)
        observations += later
    assert told(observations, "fork")[family.pid] == 1
    assert [told(observations, "fork")[pid] for pid in grandchildren] == [1]


def test_a_runtime_that_is_gone_already_leaves_nothing_behind(sensor: KernelSensor) -> None:
    with Family(1) as family:
        family.run()
    sensor.runtime_changed(family.pid)
    assert read_until(sensor, lambda _: False, 0.3) == [SensorState(NAME, True, sensor.engine.name)]


def test_a_runtime_that_comes_back_with_another_pid(sensor: KernelSensor) -> None:
    for _ in range(2):
        with Family(CHILDREN, hold=True) as family:
            sensor.runtime_changed(family.pid)
            observations, children = tell_all(sensor, family)
            assert told(observations, "fork") == Counter(children)


@pytest.mark.parametrize("name", [*WITH_PROBES, "proc_connector"])
def test_the_engine_is_heard_before_proc_is_asked(name: str) -> None:
    """It knows the names of the dead, and when they died."""
    with sensing(name) as sensor, Family(CHILDREN, hold=True) as family, Family(1) as another:
        sensor.runtime_changed(family.pid)
        family.start()
        observations = read_until(sensor, executed(CHILDREN))
        family.finish()
        sensor.runtime_changed(another.pid)
        observations += sensor.read()
    deaths = [event for event in observations if isinstance(event, ProcessEvent) and event.what == "exit"]
    assert [event.comm for event in deaths] == ["family"] * (CHILDREN + 1)


# --- containers and clients ----------------------------------------------------------


@pytest.mark.parametrize("seeded", [True, False])
def test_containers_are_not_followed(sensor: KernelSensor, seeded: bool) -> None:
    """Seeded: the shim was there before, and has most of its children later."""
    if not seeded:
        sensor.runtime_changed(os.getpid())
    with Family(CHILDREN, hold=True, pause_us=20_000, program="containerd-shim") as shim:
        observations = read_until(
            sensor, lambda seen: shim.pid in told(seen, "exec"), 0.0 if seeded else 20.0
        )
        shim.start()
        if seeded:
            shim.wait_for(lambda living: living >= CHILDREN // 3)
            sensor.runtime_changed(os.getpid())
        shim.wait_for(lambda living: living == CHILDREN)
        observations += read_until(sensor, lambda _: False, 0.3)
        shim.release()
        observations += read_until(sensor, dead(shim.pid))
        contained = shim.finish().keys()
    assert told(observations, "fork")[shim.pid] == 1
    assert told(observations, "exit")[shim.pid] == 1
    assert not told(observations, "fork").keys() & contained


@pytest.mark.parametrize("name", ALL)
def test_a_client_is_seen_and_almost_a_client_is_not(name: str) -> None:
    client_name = own_name("cli")
    with sensing(name, (client_name,)) as sensor, ExitStack() as processes:
        client = processes.enter_context(Family(1, hold=True, program=client_name))
        other = processes.enter_context(Family(1, hold=True, program=client_name + "x"))
        observations = read_until(sensor, lambda seen: client.pid in told(seen, "exec"))
        other.start()
        other.wait_for(lambda living: living == 1)
        later, children = tell_all(sensor, client)
    seen = {event.pid for event in [*observations, *later] if isinstance(event, ProcessEvent)}
    assert seen == {client.pid, *children}


def test_a_client_that_runs_already_comes_with_the_runtime() -> None:
    client_name = own_name("old")
    with ExitStack() as opened:
        client = opened.enter_context(Family(1, program=client_name))
        runtime = opened.enter_context(Family(1))
        sensor = opened.enter_context(sensing("libbpf", (client_name,)))
        sensor.runtime_changed(runtime.pid)
        observations = read_until(sensor, born(1))
    names = {event.pid: event.comm for event in observations if isinstance(event, ProcessEvent)}
    assert names == {client.pid: client_name}  # told last: its exec


# --- losses --------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_PROBES)
def test_births_and_deaths_that_were_lost_are_found_in_proc(name: str) -> None:
    with sensing(name, ring_bytes=TINY_RING_BYTES) as sensor, Family(MANY, hold=True) as family:
        sensor.runtime_changed(family.pid)
        family.start()
        family.wait_for(lambda living: living == MANY)
        pause_for_resync()
        births = read_until(sensor, born(MANY))

        children = family.finish().keys()
        pause_for_resync()
        deaths = read_until(sensor, dead(family.pid))

    assert told(births, "fork") == Counter(children)
    assert told(deaths, "exit") == Counter([*children, family.pid])
    for detail in losses(births)[0], losses(deaths)[0]:
        count, _, rest = detail.partition(" ")
        assert int(count) > 0
        assert rest == "events lost; resynced from /proc"


@pytest.mark.parametrize("name", WITH_PROBES)
def test_after_a_resync_the_engine_is_believed_again(name: str) -> None:
    with ExitStack() as opened:
        sensor = opened.enter_context(sensing(name, ring_bytes=TINY_RING_BYTES))
        first = opened.enter_context(Family(MANY))
        second = opened.enter_context(Family(5, hold=True, pause_us=100_000))
        for family in (first, second):
            sensor.runtime_changed(family.pid)
        first.run()
        pause_for_resync()
        lossy = read_until(sensor, dead(first.pid))
        quiet, children = tell_all(sensor, second)
    assert losses(lossy) and not losses(quiet)
    assert told(quiet, "fork") == told(quiet, "exec") == Counter(children)


@pytest.mark.parametrize("name", WITH_PROBES)
def test_no_loss_no_resync(name: str) -> None:
    with sensing(name) as sensor, Family(MANY) as family:
        sensor.runtime_changed(family.pid)
        family.run()
        pause_for_resync()
        observations = read_until(sensor, dead(family.pid))
    assert losses(observations) == []
    assert len(told(observations, "fork")) == len(told(observations, "exit")) - 1 == MANY


@pytest.mark.parametrize("name", ["libbpf"])
def test_a_full_list_is_told(name: str) -> None:
    room = 6
    with sensing(name) as sensor, Family(CHILDREN, hold=True) as family:
        for pid in range(5_000_000, 5_000_000 + 4096 - room):  # no pid is that high
            sensor.engine.watch(pid)
        family.start()
        family.wait_for(lambda living: living == CHILDREN)
        sensor.runtime_changed(family.pid)
        details = [state.detail for state in sensor.read() if isinstance(state, SensorState)]
    assert f"{CHILDREN + 1 - room} processes are not watched: the list is full" in details
