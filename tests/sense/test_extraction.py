"""sense/extraction: what a look at a real dockerd's pipelines shows."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Callable, List, Optional

import pytest

from tests.host.conftest import no_descriptor_kept, wait_until
from tests.lab import faults, processes
from tests.lab.faults import Fault, Form
from tests.lab.images import BIG, OTHER, SMALL
from tests.lab.lab import Lab
from tests.sense.conftest import only
from watchdog.core.observation import ExtractionScan, ProcessKey, ProcessSample, SensorState
from watchdog.host import proc
from watchdog.sense.extraction import ExtractionSensor

pytestmark = pytest.mark.lab


def following(lab: Lab) -> ExtractionSensor:
    sensor = ExtractionSensor("docker")
    sensor.follow(proc.identify(lab.dockerd.pid), str(lab.dockerd.data_root))
    return sensor


def look(sensor: ExtractionSensor) -> ExtractionScan:
    return only(ExtractionScan, sensor.read(time.monotonic_ns()))


def hang(lab: Lab, form: Form = Form.BINARY, fault: Fault = Fault.PAUSE) -> None:
    """Pulls from now on hang in mid-layer."""
    lab.unpigz.install(form)
    lab.unpigz.arm(fault, after_bytes=1_000_000)


def stuck(lab: Lab, pipelines: int = 1) -> None:
    wait_until(lambda: len(lab.dockerd.untars) == pipelines and lab.dockerd.stands_still(0.3), 30)


def worker(scan: ExtractionScan) -> ProcessSample:
    return scan.decompressors[0].members[-1]


def until(sensor: ExtractionSensor, what: Callable[[ExtractionScan], object]) -> ExtractionScan:
    """The first scan for which that is true."""
    found: List[ExtractionScan] = []

    def enough() -> bool:
        found[:] = [look(sensor)]
        return bool(what(found[0]))

    wait_until(enough, 20)
    return found[0]


def test_an_idle_runtime_has_no_pipeline(lab: Lab) -> None:
    sensor = following(lab)
    scan = look(sensor)
    assert scan.daemon is not None and scan.daemon.key.pid == lab.dockerd.pid
    assert (scan.decompressors, scan.untars, scan.orphans, scan.blobs) == ((), (), (), ())
    assert scan.complete
    assert scan.pressure is not None and scan.pressure.sectors is not None


@pytest.mark.parametrize("form", list(Form))
def test_a_hung_decompressor_is_seen_with_all_that_stands_around_it(lab: Lab, form: Form) -> None:
    sensor = following(lab)
    hang(lab, form)
    lab.pull(BIG)
    stuck(lab)
    scan = look(sensor)
    assert scan.complete
    (decompressor,) = scan.decompressors
    members = decompressor.members
    assert members[0].parent_pid == lab.dockerd.pid and members[0].key.pid == lab.dockerd.decompressors[0]
    assert len(members) == (2 if form is Form.WRAPPER else 1)
    assert decompressor.command == str(lab.unpigz.path)
    stdin, stdout = members[-1].stdin, members[-1].stdout
    assert stdin is not None and stdout is not None
    assert (stdin.fill_bytes, stdin.hung_up, stdout.fill_bytes, stdout.has_room) == (65536, False, 0, True)
    (untar,) = scan.untars
    assert untar.process.key.pid == lab.dockerd.untars[0] and "read:0" in untar.process.waits
    assert untar.target.startswith(str(lab.dockerd.data_root / "overlay2"))
    (blob,) = scan.blobs
    assert blob.size_bytes == lab.dockerd.blobs[0].size_bytes
    assert members[-1].read_bytes is not None
    assert 0 <= blob.position_bytes - members[-1].read_bytes <= 192 * 1024


def test_a_healthy_pull_moves_and_its_end_is_seen(lab: Lab) -> None:
    sensor = following(lab)
    hang(lab, fault=Fault.SLOW)
    pull = lab.pull(SMALL)
    first = until(sensor, lambda scan: scan.decompressors and worker(scan).written_bytes)
    until(sensor, lambda scan: worker(scan).written_bytes != worker(first).written_bytes)
    lab.unpigz.disarm()
    assert pull.wait() == 0
    last = until(sensor, lambda scan: not scan.decompressors and not scan.untars and not scan.blobs)
    assert last.complete


def test_two_pulls_are_two_pipelines_and_looking_at_them_is_cheap(lab: Lab) -> None:
    sensor = following(lab)
    hang(lab, Form.WRAPPER)
    for image in (OTHER, SMALL):
        lab.pull(image)
    stuck(lab, pipelines=2)
    scan = look(sensor)
    assert (len(scan.decompressors), len(scan.untars), len(scan.blobs)) == (2, 2, 2)
    assert len({one.members[0].key for one in scan.decompressors}) == 2
    with no_descriptor_kept():
        look_s = cpu_of(lambda: look(sensor))
    assert look_s < 0.010  # 2.5 ms on a quiet machine


def cpu_of(work: Callable[[], object], times: int = 50) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


def test_an_operators_own_unpigz_is_nobodys_here(lab: Lab) -> None:
    sensor = following(lab)
    with subprocess.Popen(["unpigz", "-dc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as own:
        assert look(sensor).decompressors == () and look(sensor).orphans == ()
        own.terminate()


def test_a_build_has_a_pipeline_and_no_download(lab: Lab) -> None:
    sensor = following(lab)
    hang(lab)
    lab.build(SMALL)
    scan = until(sensor, lambda scan: scan.decompressors)
    assert scan.blobs == ()


def test_who_is_stopped_is_seen_stopped(lab: Lab) -> None:
    sensor = following(lab)
    hang(lab, fault=Fault.STOP)
    lab.pull(SMALL)
    until(sensor, lambda scan: scan.decompressors and set(worker(scan).states) == {"T"})
    with faults.stopped(lab.dockerd.untars[0]):
        until(sensor, lambda scan: set(scan.untars[0].process.states) == {"T"})
    with faults.stopped(lab.dockerd.pid):
        until(sensor, lambda scan: scan.daemon and set(scan.daemon.states) == {"T"})


def test_who_is_held_on_purpose_is_seen_held(lab: Lab) -> None:
    sensor = following(lab)
    hang(lab)
    lab.pull(SMALL)
    stuck(lab)
    pid = lab.dockerd.decompressors[0]
    assert (worker(look(sensor)).frozen, worker(look(sensor)).tracer_pid) == (False, 0)
    for version in (1, 2):
        with faults.frozen_by_cgroup(pid, lab.root.name, version):
            assert worker(look(sensor)).frozen is True
    until(sensor, lambda scan: worker(scan).frozen is False)
    with faults.traced(pid) as gdb:
        assert worker(look(sensor)).tracer_pid == gdb


@pytest.mark.parametrize("form", [Form.BINARY, Form.WRAPPER])
def test_what_a_killed_daemon_leaves_are_orphans_for_old_and_new_sensors(lab: Lab, form: Form) -> None:
    sensor = following(lab)
    hang(lab, form, Fault.STOP)
    lab.pull(SMALL)
    stuck(lab)
    left = {member.key for member in look(sensor).decompressors[0].members}
    lab.dockerd.kill()
    scan = until(sensor, lambda scan: scan.orphans)
    assert scan.daemon is None and {one.key for one in scan.orphans} == left
    sensor.follow(None, None)
    assert {one.key for one in look(sensor).orphans} == left
    lab.dockerd.start()
    for one in (sensor, following(lab)):
        one.follow(proc.identify(lab.dockerd.pid), str(lab.dockerd.data_root))
        scan = look(one)
        assert {one.key for one in scan.orphans} == left and scan.decompressors == ()


def test_an_orphan_of_somebody_else_is_not_ours(lab: Lab) -> None:
    reading, writing = os.pipe()
    try:
        command = ["setsid", "--fork", "sh", "-c", "echo $$ >&2; exec unpigz -dc >/dev/null 2>&1"]
        started = subprocess.Popen(command, stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert started.stderr is not None
        pid = int(started.stderr.readline())
        started.communicate(timeout=10)
        with proc.Process(pid) as orphan:
            wait_until(lambda: orphan.stat().comm == "unpigz" and orphan.stat().parent_pid == 1)
            assert look(following(lab)).orphans == ()
    finally:
        os.close(writing)
        os.close(reading)
    assert processes.has_ended(pid, 5)


def test_a_frozen_disk_does_not_hold_a_look() -> None:
    with Lab(disk_mb=600) as lab:
        sensor = following(lab)
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(Fault.SLOW, after_bytes=100_000)
        lab.pull(SMALL)
        moving = until(sensor, lambda scan: scan.untars)
        assert lab.disk is not None and moving.pressure is not None and moving.pressure.sectors is not None
        with lab.disk.frozen():
            until(sensor, lambda scan: "D" in scan.untars[0].process.states)
            begun = time.monotonic()
            scan = look(sensor)
            late = following(lab)  # one that has to find the disk while it is frozen
            assert look(late).pressure is not None
            assert time.monotonic() - begun < 1.0
            assert len(scan.blobs) == 1 and scan.complete
            later = until(sensor, lambda one: one.pressure == scan.pressure or one.pressure)
            assert later.pressure is not None and later.pressure.sectors is not None


def test_a_daemon_that_is_not_there_is_no_trouble() -> None:
    sensor = ExtractionSensor("docker")
    sensor.follow(ProcessKey(2**22 + 1, 1), "/var/lib/docker")
    assert look(sensor).daemon is None


def test_before_it_knows_the_daemon_nothing_is_taken_for_ended() -> None:
    """An incident that an earlier agent left is not over because this one has not looked yet."""
    sensor = ExtractionSensor("docker")
    assert not look(sensor).complete
    itself = proc.identify(os.getpid())
    sensor.follow(itself, None)
    assert look(sensor).complete
    sensor.follow(None, None)
    assert look(sensor).complete  # it has ended, and what it left is known


def test_what_cannot_be_looked_into_is_told_and_not_guessed(lab: Lab) -> None:
    hang(lab)
    lab.pull(SMALL)
    stuck(lab)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if _is_blind(lab) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def _is_blind(lab: Lab) -> Optional[bool]:
    """As somebody who may not look: no scan, and a sensor that says so once."""
    sensor = following(lab)
    os.setuid(65534)
    (state,) = sensor.read(0)
    return isinstance(state, SensorState) and not state.up and sensor.read(1) == []


def test_signals_are_not_sent(lab: Lab) -> None:
    """A stopped decompressor that was looked at stays stopped, and goes on when it is told to."""
    sensor = following(lab)
    hang(lab, fault=Fault.STOP)
    pull = lab.pull(SMALL)
    stuck(lab)
    for _ in range(20):
        look(sensor)
    assert pull.running
    processes.send(lab.dockerd.decompressors[0], signal.SIGCONT)
    assert pull.wait() == 0
