"""kill_decompressor: the whole hung stage, leaf first, and nothing that moves or is not ours."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import replace

import pytest

from tests.act.scene import Scene, sample, stage_of
from tests.lab import faults, images
from tests.lab.faults import Fault, Form
from tests.lab.processes import has_ended, send, wait_until
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import BlobSample

pytestmark = pytest.mark.lab


class TestItEnds:
    @pytest.mark.parametrize("form", list(Form))
    @pytest.mark.parametrize("fault", [Fault.SPIN, Fault.PAUSE])
    def test_the_stage_and_with_it_the_pull(self, scene: Scene, fault: Fault, form: Form) -> None:
        pid = scene.hang(fault, form)
        stage = scene.lab.dockerd.decompressors
        incident = scene.record(Cause.DECOMPRESSOR_SPINNING, pid)

        result = scene.act("kill_decompressor", incident)

        assert result["outcome"] == "done", result
        assert len(stage) == (2 if form is Form.WRAPPER else 1)
        assert all(has_ended(one) for one in stage)
        assert scene.clients[-1].wait() != 0
        assert "signal: killed" in scene.clients[-1].output or "exit status" in scene.clients[-1].output

    def test_the_price_is_in_the_intent(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        pull = scene.pull_of(images.SMALL, scene.clients[-1])
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, pulls=(pull,), certain=True)

        result = scene.act("kill_decompressor", incident)

        intent = scene.ledger[0]
        assert f"it ends {pull.image}; up to 20000000 bytes are fetched again" in intent.detail
        assert pull.image in result["extra"]["cost"]

    def test_a_pull_that_waits_for_the_layer_goes_on(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)
        scene.clients[-1].give_up()
        scene.clients.append(scene.lab.pull(images.SMALL))

        result = scene.act("kill_decompressor", incident)

        assert result["outcome"] == "done"
        assert scene.pull_is_done()

    def test_the_decompressor_and_not_the_untar_that_hangs(self, scene: Scene) -> None:
        scene.hang(Fault.PAUSE)
        (untar,) = scene.lab.dockerd.untars
        (decompressor,) = scene.lab.dockerd.decompressors
        incident = scene.record(Cause.UNTAR_BLOCKED, untar, stage=(sample(untar),))

        result = scene.act("kill_decompressor", incident)

        assert result["outcome"] == "done"
        assert f"SIGKILL sent to unpigz (pid {decompressor})" in result["detail"]
        assert str(untar) not in result["detail"]


def hung_load(scene: Scene) -> int:
    """A `docker load` whose decompressor hangs; its pid."""
    scene.lab.unpigz.install()
    scene.lab.unpigz.arm(Fault.PAUSE, runs=1)
    scene.lab.load(images.OTHER)
    wait_until(lambda: scene.lab.dockerd.stands_still(0.5), "the load stands still")
    (pid,) = scene.lab.dockerd.decompressors
    return pid


class TestItIsLeftAlone:
    def refused(self, scene: Scene, incident: str, *pids: int) -> str:
        result = scene.act("kill_decompressor", incident)
        assert result["outcome"] == "refused", result
        assert not any(has_ended(pid) for pid in pids)
        return str(result["detail"])

    def test_when_it_moves_however_slowly(self, scene: Scene) -> None:
        pid = scene.slow_pull()
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)

        assert "it moves again" in self.refused(scene, incident, pid)

    def test_when_it_is_frozen_or_traced(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)
        with faults.frozen_by_cgroup(pid, scene.lab.root.name, 2):
            assert "frozen" in self.refused(scene, incident, pid)
        with faults.traced(pid):
            assert "traced" in self.refused(scene, incident, pid)

    def test_when_it_is_a_load(self, scene: Scene) -> None:
        pid = hung_load(scene)
        load = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)
        assert "a load or a build" in self.refused(scene, load, pid)

    def test_when_it_is_a_load_that_the_record_calls_a_pull(self, scene: Scene) -> None:
        pid = hung_load(scene)
        forged = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid, blob=BlobSample("GetImageBlob1", 1, 1))
        assert "belongs to it by now: a load or a build" in self.refused(scene, forged, pid)

    def test_when_it_is_another_child_of_the_runtime(self, scene: Scene) -> None:
        pid, containerd = scene.hang(Fault.PAUSE), scene.lab.dockerd.containerd
        stage = (sample(containerd),)
        forged = scene.record(Cause.DECOMPRESSOR_BLOCKED, containerd, stage=stage, decompressor=stage)
        assert "no decompressor" in self.refused(scene, forged, containerd, pid)

    def test_when_it_is_an_operator_s_own(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        seen = scene.read(scene.record(Cause.DECOMPRESSOR_BLOCKED, pid))
        scene.lab.unpigz.arm(Fault.PAUSE)
        with images.layer_blob(images.SMALL.layers[0]).path.open("rb") as source:
            own = subprocess.Popen([str(scene.lab.unpigz.path), "-dc"], stdin=source, stdout=subprocess.PIPE)
        try:
            theirs = sample(own.pid)
            scene.write(replace(seen, culprit=theirs, stage=(theirs,), decompressor=(theirs,)))

            assert "is no child of the runtime" in self.refused(scene, seen.id, own.pid, pid)
        finally:
            own.kill()
            own.wait(10)
            assert own.stdout is not None
            own.stdout.close()

    def test_when_the_pid_is_another_process_by_now(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        seen = scene.read(scene.record(Cause.DECOMPRESSOR_BLOCKED, pid))
        key = replace(seen.culprit.key, start_ticks=seen.culprit.key.start_ticks - 1)
        earlier = replace(seen.culprit, key=key)
        scene.write(replace(seen, culprit=earlier, stage=(earlier,), decompressor=(earlier,)))

        assert "its pid belongs to a later process" in self.refused(scene, seen.id, pid)

    def test_when_the_program_has_ended_and_its_wrapper_has_not(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE, Form.WRAPPER)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)
        wrapper = scene.lab.dockerd.decompressors[0]
        scene.stop(wrapper)
        send(pid, signal.SIGKILL)
        wait_until(lambda: has_ended(pid), "the program has ended")

        assert "which hung, has ended" in self.refused(scene, incident, wrapper)
        send(wrapper, signal.SIGCONT)

    def test_when_the_record_names_the_untar_as_a_decompressor(self, scene: Scene) -> None:
        scene.hang(Fault.PAUSE)
        (untar,) = scene.lab.dockerd.untars
        incident = scene.record(
            Cause.UNTAR_BLOCKED, untar, stage=(sample(untar),), decompressor=(sample(untar),)
        )

        assert "is a part of the runtime itself" in self.refused(scene, incident, untar)

    def test_in_a_dry_run(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE, Form.WRAPPER)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)
        before = scene.changes()

        result = scene.act("kill_decompressor", incident, "--dry-run")

        assert result["outcome"] == "done"
        leaf_first = list(reversed(scene.lab.dockerd.decompressors))
        assert [f"(pid {one})" in step for one, step in zip(leaf_first, result["steps"])] == [True, True]
        assert scene.changes() == before
        assert stage_of(scene.lab.dockerd.pid)[-1].key.pid == pid
