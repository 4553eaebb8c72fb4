"""substitute_decompressor by a link: in force at the next layer, and gone without a trace."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml

from tests.act.scene import Scene
from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.lab.processes import SYSTEM_PATH, run
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome

pytestmark = pytest.mark.lab


def hung(scene: Scene, form: Form = Form.BINARY) -> str:
    """A pull that hangs at an unpigz that will always hang; its incident."""
    pid = scene.hang(Fault.PAUSE, form, runs=-1)
    return scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)


def link_of(scene: Scene) -> Path:
    return scene.lab.dockerd.early / "unpigz"


class TestItIsInForce:
    @pytest.mark.parametrize("form", list(Form))
    def test_from_the_next_layer_on(self, scene: Scene, form: Form) -> None:
        incident = hung(scene, form)

        result = scene.act("substitute_decompressor", incident)

        assert result["outcome"] == "done", result
        assert link_of(scene).resolve() == Path("/usr/bin/gzip")
        assert scene.lab.pull(images.OTHER).wait() == 0

    def test_without_it_the_next_pull_hangs_too(self, scene: Scene) -> None:
        hung(scene)
        scene.hang(Fault.PAUSE, image=images.OTHER, runs=-1)

        assert not scene.lab.has(images.OTHER)

    def test_the_way_leads_over_memory_so_it_is_gone_after_a_reboot(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))

        between, run_dir = link_of(scene).readlink(), scene.agent.run_dir
        assert between.parent == run_dir.with_name(f"{run_dir.name}-act")
        between.unlink()  # what a reboot does to all of /run
        scene.lab.unpigz.disarm()
        assert scene.lab.pull(images.OTHER).wait() == 0

    def test_pigz_itself_is_as_it_was(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))

        folders = f"{scene.lab.dockerd.early}:{SYSTEM_PATH}"
        said = run("env", f"PATH={folders}", "sh", "-c", "echo works | pigz -p 2 | unpigz -d -c")
        assert said == "works\n"

    def test_it_knows_when_it_ends(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))

        intent, result = scene.ledger
        assert intent.culprit is None
        assert intent.expires_wall_ns is not None
        assert intent.expires_wall_ns == result.expires_wall_ns
        assert 0 < intent.expires_wall_ns - intent.wall_ns <= 24 * 3600 * 10**9


class TestItIsRefused:
    def refused(self, scene: Scene, incident: str) -> str:
        before = scene.changes()
        result = scene.act("substitute_decompressor", incident)
        assert result["outcome"] == "refused", result
        after = scene.changes()
        ours = ("/ledger", "/run/lock")
        assert {k: v for k, v in after.items() if not any(o in k for o in ours)} == {
            k: v for k, v in before.items() if not any(o in k for o in ours)
        }
        return str(result["detail"])

    def test_when_it_is_in_force_already(self, scene: Scene) -> None:
        incident = hung(scene)
        scene.act("substitute_decompressor", incident)

        assert "already" in self.refused(scene, incident)

    def test_when_gzip_is_pigz_under_another_name(self, scene: Scene) -> None:
        incident = hung(scene)
        (scene.lab.dockerd.programs / "gzip").symlink_to("/usr/bin/pigz")

        assert "is pigz under another name" in self.refused(scene, incident)

    def test_when_another_unpigz_is_in_force_by_now(self, scene: Scene) -> None:
        incident = hung(scene)
        scene.lab.unpigz.remove()

        assert "the runtime would execute" in self.refused(scene, incident)

    def test_when_others_could_write_to_the_directory(self, scene: Scene) -> None:
        incident = hung(scene, Form.LINK)
        scene.lab.dockerd.early.chmod(0o777)

        said = self.refused(scene, incident)
        assert "no directory before" in said
        assert "is a link, so a mount would land on the file behind it" in said

    def test_when_something_has_that_name_already(self, scene: Scene) -> None:
        incident = hung(scene, Form.LINK)
        link_of(scene).write_text("a note of the administrator, no program")

        assert "no directory before" in self.refused(scene, incident)

    def test_when_the_cause_is_another_one(self, scene: Scene) -> None:
        pid = scene.hang(Fault.PAUSE)

        said = self.refused(scene, scene.record(Cause.UNTAR_BLOCKED, pid))
        assert "is no remedy for untar_blocked" in said

    def test_in_a_dry_run(self, scene: Scene) -> None:
        incident = hung(scene)
        before = scene.changes()

        result = scene.act("substitute_decompressor", incident, "--dry-run")

        assert result["steps"] == [
            f"let lab run /usr/bin/gzip in the place of {scene.lab.unpigz.path}, "
            f"by a link in {scene.lab.dockerd.early}"
        ]
        assert scene.changes() == before


class TestItIsUndone:
    def test_by_its_action_s_name(self, scene: Scene) -> None:
        incident = hung(scene)
        before = scene.changes()
        action = scene.act("substitute_decompressor", incident)["action"]

        told = json.loads(scene.run("revert", action, "--json").stdout)

        assert told["outcome"] == "done", told
        assert not os.path.lexists(link_of(scene))
        assert {k: v for k, v in scene.changes().items() if k in before and "ledger" not in k} == {
            k: v for k, v in before.items() if "ledger" not in k
        }
        assert scene.ledger[-1].phase == "revert"
        assert scene.ledger[-1].outcome is Outcome.DONE

    def test_twice_is_harmless(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))

        assert scene.run("revert", "substitute_decompressor").returncode == 0
        assert scene.run("revert", "substitute_decompressor").returncode == 0

    def test_when_its_time_is_over(self, scene: Scene) -> None:
        scene.agent.configure({**configured(scene), "expiries": {"substitute_decompressor": "1s"}})
        scene.act("substitute_decompressor", hung(scene))
        time.sleep(1.0)
        scene.run("revert", "--expired")

        assert not os.path.lexists(link_of(scene))

    def test_not_before(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))
        scene.run("revert", "--expired")

        assert link_of(scene).exists()

    def test_after_an_upgrade_of_pigz(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))
        fresh = scene.lab.unpigz.path.with_suffix(".new")
        fresh.write_bytes(scene.lab.unpigz.path.read_bytes())
        fresh.chmod(0o755)
        fresh.rename(scene.lab.unpigz.path)
        scene.run("revert", "--expired")

        assert not os.path.lexists(link_of(scene))

    def test_what_somebody_put_there_instead_is_left_alone(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))
        link_of(scene).unlink()
        link_of(scene).symlink_to("/usr/bin/pigz")

        told = scene.run("revert", "substitute_decompressor").stdout.decode()

        assert "is not ours any more and is left alone" in told
        assert link_of(scene).readlink() == Path("/usr/bin/pigz")

    def test_without_a_runtime_too(self, scene: Scene) -> None:
        scene.act("substitute_decompressor", hung(scene))
        scene.lab.dockerd.kill()

        assert scene.run("revert", "--all").returncode == 0
        assert not os.path.lexists(link_of(scene))

    def test_a_resume_cannot_be(self, scene: Scene) -> None:
        pid = scene.hang(Fault.STOP)
        action = scene.act("resume", scene.record(Cause.DECOMPRESSOR_STOPPED, pid))["action"]

        done = scene.run("revert", action)

        assert done.returncode != 0
        assert "a process that was continued has gone on" in done.stderr.decode()


def configured(scene: Scene) -> dict[str, object]:
    return dict(yaml.safe_load(scene.agent.config.read_text()))
