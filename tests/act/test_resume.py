"""resume: a stopped process goes on, once; whatever is held or moves is left alone."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import replace

import pytest

from tests.act.scene import Scene
from tests.lab import faults, images, sight
from tests.lab.faults import Fault, Form
from tests.lab.processes import send, wait_until
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome, ProcessKey

pytestmark = pytest.mark.lab


class TestItGoesOn:
    @pytest.mark.parametrize("form", list(Form))
    def test_a_stopped_decompressor(self, scene: Scene, form: Form) -> None:
        pid = scene.hang(Fault.STOP, form)
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, pid)

        result = scene.act("resume", incident)

        assert result["outcome"] == "done"
        assert f"SIGCONT sent to unpigz (pid {pid}); it runs again" in result["detail"]
        assert scene.pull_is_done()

    def test_a_stopped_untar(self, scene: Scene) -> None:
        scene.hang(Fault.PAUSE)
        (untar,) = scene.lab.dockerd.untars
        scene.stop(untar)

        result = scene.act("resume", scene.record(Cause.UNTAR_STOPPED, untar))

        assert result["outcome"] == "done"
        assert sight.state(untar) != "T"

    def test_the_daemon_itself(self, scene: Scene) -> None:
        daemon = scene.lab.dockerd.pid
        scene.stop(daemon)

        result = scene.act("resume", scene.record(Cause.DAEMON_STOPPED, daemon, daemon=None))

        assert result["outcome"] == "done"
        assert scene.lab.dockerd.api.get("/version")["Version"]

    def test_the_ledger_has_intent_and_result(self, scene: Scene) -> None:
        pid = scene.hang()
        name = scene.act("resume", scene.record(Cause.DECOMPRESSOR_STOPPED, pid))["action"]

        intent, result = scene.ledger
        assert (intent.phase, intent.action) == ("intent", name)
        assert intent.culprit is not None and intent.culprit.pid == pid
        assert (result.phase, result.action, result.outcome) == ("result", name, Outcome.DONE)


class TestItIsLeftAlone:
    """Beside each: nothing was sent, and nothing is in the ledger."""

    def refused(self, scene: Scene, incident: str) -> str:
        result = scene.act("resume", incident)
        assert result["outcome"] == "refused", result
        assert scene.ledger == ()
        return str(result["detail"])

    def test_when_it_is_not_stopped(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)

        assert "is not stopped" in self.refused(scene, scene.record(Cause.DECOMPRESSOR_STOPPED, pid))

    def test_when_it_is_frozen(self, scene: Scene) -> None:
        pid = scene.hang()
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, pid)
        for version in (1, 2):
            with faults.frozen_by_cgroup(pid, scene.lab.root.name, version):
                assert "is frozen by its control group" in self.refused(scene, incident)
        assert sight.state(pid) == "T"

    def test_when_it_is_traced(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, pid)
        with faults.traced(pid) as debugger:
            assert f"is traced by process {debugger}" in self.refused(scene, incident)

    def test_when_it_was_stopped_again_after_us(self, scene: Scene) -> None:
        pid = scene.slow_pull()
        scene.stop(pid)
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, pid)
        assert scene.act("resume", incident)["outcome"] == "done"
        scene.stop(pid)

        result = scene.act("resume", incident)

        assert result["outcome"] == "refused"
        assert "stopped again: hands off" in result["detail"]
        assert sight.state(pid) == "T"

    def test_when_the_pid_is_another_process_by_now(self, scene: Scene) -> None:
        pid = scene.hang()
        seen = scene.read(scene.record(Cause.DECOMPRESSOR_STOPPED, pid))
        earlier = replace(seen.culprit, key=ProcessKey(pid, seen.culprit.key.start_ticks - 1))
        scene.write(replace(seen, culprit=earlier))

        assert "its pid belongs to a later process" in self.refused(scene, seen.id)
        assert sight.state(pid) == "T"

    def test_when_it_runs_another_file_by_now(self, scene: Scene) -> None:
        pid = scene.hang()
        seen = scene.read(scene.record(Cause.DECOMPRESSOR_STOPPED, pid))
        assert seen.culprit.exe is not None
        other = replace(seen.culprit, exe=replace(seen.culprit.exe, inode=1))
        scene.write(replace(seen, culprit=other))

        assert "was seen" in self.refused(scene, seen.id)

    def test_when_it_is_an_operator_s_own(self, scene: Scene) -> None:
        scene.hang()
        scene.lab.unpigz.arm(Fault.STOP)
        with images.layer_blob(images.SMALL.layers[0]).path.open("rb") as source:
            own = subprocess.Popen(
                [str(scene.lab.unpigz.path), "-dc"], stdin=source, stdout=subprocess.DEVNULL
            )
        try:
            wait_until(lambda: sight.state(own.pid) == "T", "the operator's own is stopped")
            said = self.refused(scene, scene.record(Cause.DECOMPRESSOR_STOPPED, own.pid))
            assert "does not descend from the runtime" in said
            assert sight.state(own.pid) == "T"
        finally:
            own.kill()
            own.wait(10)

    def test_when_it_is_another_child_of_the_runtime(self, scene: Scene) -> None:
        containerd = scene.lab.dockerd.containerd
        scene.stop(containerd)
        try:
            said = self.refused(scene, scene.record(Cause.DECOMPRESSOR_STOPPED, containerd))
            assert "reads from no pipe: it is no part of an extraction" in said
            assert sight.state(containerd) == "T"
        finally:
            send(containerd, signal.SIGCONT)

    def test_when_the_runtime_is_another_one_by_now(self, scene: Scene) -> None:
        pid = scene.hang()
        incident = scene.record(Cause.DECOMPRESSOR_STOPPED, pid)
        scene.lab.dockerd.kill()
        scene.lab.dockerd.start()

        assert "has ended" in self.refused(scene, incident)
        assert sight.state(pid) == "T"
