"""The lab keeps its promises: a pull is one, a hang is one, and nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import cleanup, images, sight
from tests.lab.dockerd import ApiError
from tests.lab.faults import Fault, Form, frozen_by_cgroup, stopped, traced
from tests.lab.images import BIG, MULTI, OTHER, SMALL, TWIN_A, TWIN_B
from tests.lab.lab import Lab
from tests.lab.processes import kill, send, wait_until
from tests.lab.timeline import Timeline

pytestmark = pytest.mark.lab


def hang(lab: Lab, fault: Fault = Fault.STOP, form: Form = Form.BINARY) -> int:
    """Install the fake and wait until a pull of SMALL stands still; the pid of the one that does the work."""
    lab.unpigz.install(form)
    lab.unpigz.arm(fault, runs=1)
    lab.pull(SMALL)
    wait_until(lambda: lab.dockerd.stands_still(0.4), "the pull stands still")
    return lab.dockerd.decompressors[-1]


def finishes(lab: Lab) -> bool:
    return wait_until(lambda: lab.has(SMALL), "the image is there", 20.0)


# --- healthy ----------------------------------------------------------------


def test_pulls_with_the_system_unpigz(lab: Lab) -> None:
    assert lab.pull(MULTI).wait() == 0
    assert lab.has(MULTI) and not lab.has(OTHER)


@pytest.mark.parametrize("form", Form)
def test_pulls_with_the_fake_when_it_is_not_armed(lab: Lab, form: Form) -> None:
    lab.unpigz.install(form)
    assert lab.pull(SMALL).wait() == 0
    assert lab.has(SMALL)


def test_an_image_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    digests = [images._make_layer(images.Layer(7, images.MB), tmp_path / f"{n}.tar.gz") for n in range(2)]
    assert digests[0] == digests[1]
    assert (tmp_path / "0.tar.gz").stat().st_size == pytest.approx(images.MB, rel=0.01)


def test_the_registry_counts_what_it_sent(lab: Lab) -> None:
    lab.pull(TWIN_A).wait()
    lab.pull(TWIN_B).wait()
    base = images.layer_blob(images.BASE)
    assert [request.sent_bytes for request in lab.registry.accesses(base.digest)] == [base.size_bytes]


def test_a_slow_extraction_moves_and_ends_when_it_is_disarmed(lab: Lab) -> None:
    lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW)
    pull = lab.pull(SMALL)
    wait_until(lambda: lab.dockerd.untars, "the extraction begins")
    assert not lab.dockerd.stands_still(2.0)
    lab.unpigz.disarm()
    assert pull.wait(20.0) == 0


# --- hung -------------------------------------------------------------------


@pytest.mark.parametrize("form", Form)
def test_stop_hangs_the_pull_and_a_continue_frees_it(lab: Lab, form: Form) -> None:
    culprit = hang(lab, Fault.STOP, form)
    (blob,) = lab.dockerd.blobs
    (untar,) = lab.dockerd.untars
    assert 0 < blob.position_bytes < blob.size_bytes
    assert sight.state(culprit) == "T"
    assert sight.waits_at_a_pipe(untar)
    send(culprit, signal.SIGCONT)
    assert finishes(lab)


def test_spin_burns_its_processor_and_a_kill_ends_the_pull(lab: Lab) -> None:
    culprit = hang(lab, Fault.SPIN)
    before = sight.stage(culprit)
    time.sleep(0.5)
    after = sight.stage(culprit)
    assert before and after and after.cpu_ticks > before.cpu_ticks and after.state == "R"
    kill(culprit)
    wait_until(lambda: not lab.dockerd.blobs, "the layer is given up")
    assert not lab.has(SMALL)


def test_pause_sleeps_outside_its_pipes_and_the_next_pull_is_healthy(lab: Lab) -> None:
    culprit = hang(lab, Fault.PAUSE)
    assert sight.state(culprit) == "S" and not sight.waits_at_a_pipe(culprit)
    kill(culprit)
    wait_until(lambda: not lab.dockerd.blobs, "the layer is given up")
    assert lab.pull(SMALL).wait() == 0


def test_behind_a_wrapper_only_the_end_of_the_child_frees_the_pull(lab: Lab) -> None:
    child = hang(lab, Fault.PAUSE, Form.WRAPPER)
    (wrapper, *_) = lab.dockerd.decompressors
    assert wrapper != child
    kill(wrapper)
    time.sleep(1.0)
    assert lab.dockerd.blobs, "killing the wrapper alone freed the pull"
    kill(child)
    wait_until(lambda: not lab.dockerd.blobs, "the layer is given up")


def test_the_system_unpigz_can_be_stopped_in_mid_layer(lab: Lab) -> None:
    pull = lab.pull(BIG)
    (culprit,) = wait_until(lambda: lab.dockerd.decompressors, "unpigz", every_s=0.001)
    with stopped(culprit):
        wait_until(lambda: lab.dockerd.stands_still(0.4), "the pull stands still")
    assert pull.wait() == 0


def test_untar_stopped_and_dockerd_stopped(lab: Lab) -> None:
    lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW)
    pull = lab.pull(SMALL)
    (untar,) = wait_until(lambda: lab.dockerd.untars, "docker-untar")
    with stopped(untar):
        lab.unpigz.disarm()
        wait_until(lambda: lab.dockerd.stands_still(0.4), "the pull stands still")
        (decompressor,) = lab.dockerd.decompressors
        assert sight.state(untar) == "T" and sight.waits_at_a_pipe(decompressor)
        with stopped(lab.dockerd.pid):
            assert sight.state(lab.dockerd.pid) == "T"
    assert pull.wait() == 0


@pytest.mark.parametrize("version", [1, 2])
def test_frozen_by_a_control_group(lab: Lab, version: int) -> None:
    lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW)
    pull = lab.pull(SMALL)
    (culprit,) = wait_until(lambda: lab.dockerd.decompressors, "unpigz")
    with frozen_by_cgroup(culprit, lab.root.name, version):
        wait_until(lambda: lab.dockerd.stands_still(1.0), "the pull stands still")
        lab.unpigz.disarm()
    assert pull.wait() == 0


def test_traced_by_gdb(lab: Lab) -> None:
    lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW)
    pull = lab.pull(SMALL)
    (culprit,) = wait_until(lambda: lab.dockerd.decompressors, "unpigz")
    with traced(culprit) as debugger:
        assert f"TracerPid:\t{debugger}" in Path(f"/proc/{culprit}/status").read_text()
        wait_until(lambda: lab.dockerd.stands_still(1.0), "the pull stands still")
        lab.unpigz.disarm()
    assert pull.wait() == 0


def test_a_frozen_disk_puts_the_untar_into_state_d() -> None:
    with Lab(disk_mb=1000) as lab:
        assert lab.disk
        lab.unpigz.install()
        lab.unpigz.arm(Fault.SLOW)
        pull = lab.pull(SMALL)
        (untar,) = wait_until(lambda: lab.dockerd.untars, "docker-untar")
        with lab.disk.frozen(at_most_s=30):
            lab.unpigz.disarm()
            wait_until(lambda: lab.dockerd.stands_still(0.4), "the pull stands still")
            assert sight.state(untar) == "D"
        assert pull.wait() == 0


@pytest.mark.parametrize("verb", ["load", "build"])
def test_a_hung_load_or_build_has_no_layer_file(lab: Lab, verb: str) -> None:
    lab.unpigz.install()
    lab.unpigz.arm(Fault.STOP, runs=1)
    client = lab.load(SMALL) if verb == "load" else lab.build(SMALL)
    wait_until(lambda: lab.dockerd.stands_still(0.4), f"the {verb} stands still")
    assert lab.dockerd.blobs == []
    for culprit in lab.dockerd.decompressors:
        send(culprit, signal.SIGCONT)
    assert client.wait() == 0, client.output


# --- the daemon and its end -------------------------------------------------


def test_a_restarted_dockerd_has_another_pid_and_the_same_images(lab: Lab) -> None:
    lab.pull(SMALL).wait()
    pids = [lab.dockerd.pid]
    lab.dockerd.restart()
    pids.append(lab.dockerd.pid)
    lab.dockerd.kill()
    lab.dockerd.start()
    assert len({*pids, lab.dockerd.pid}) == 3
    assert lab.has(SMALL)


def test_an_error_of_the_api_is_told(lab: Lab) -> None:
    with pytest.raises(ApiError, match="404"):
        lab.remove(SMALL)


def test_two_labs_do_not_meet() -> None:
    with Lab() as one, Lab() as other:
        assert one.dockerd.pid != other.dockerd.pid and one.registry.port != other.registry.port
        hang(one)
        assert other.pull(SMALL).wait() == 0
        assert one.dockerd.stands_still(0.4) and not one.has(SMALL)


def test_nothing_is_left_of_the_worst_lab() -> None:
    """A frozen disk, an orphaned stopped unpigz and a killed dockerd."""
    with contextlib.ExitStack() as stack:
        lab = Lab(disk_mb=1000)
        with lab:
            hang(lab)
            lab.dockerd.kill()
            stack.enter_context(lab.disk.frozen(at_most_s=30))  # type: ignore[union-attr]
        assert cleanup.leftovers(lab.root) == []


CRASH = """
import os, signal, sys
from tests.lab.lab import Lab
from tests.lab import test_lab_itself
lab = Lab()
lab.__enter__()
test_lab_itself.hang(lab)
print(lab.root, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_when_the_test_process_is_killed() -> None:
    project = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=project, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    root = Path(os.fsdecode(done.stdout).strip())
    assert root.name.startswith("pwlab-")
    wait_until(lambda: not cleanup.leftovers(root), "the guard has cleaned up", 20.0)


def test_a_timeline_measures_between_moments() -> None:
    timeline = Timeline()
    timeline.mark("hung")
    timeline.mark_when("recovered", lambda: timeline.between("hung", "hung") == 0.0)
    timeline.mark("hung")
    assert 0.0 <= timeline.between("hung", "recovered") < 1.0
