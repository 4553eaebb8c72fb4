"""more_attempts on a real dockerd: in force after its restart, and only where a restart is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.act.scene import Scene
from tests.lab import images
from tests.lab.faults import Fault
from tests.lab.processes import has_ended, wait_until
from tests.lab.proxy import FaultProxy, Rule
from watchdog.core.causes.finding import Cause
from watchdog.core.target import Target

pytestmark = pytest.mark.lab


def incident(scene: Scene) -> str:
    return scene.record(
        Cause.RESET_LOOP,
        scene.lab.dockerd.pid,
        target=Target(),
        subject="1.1/GetImageBlob1 cuts",
        stage=(),
        decompressor=(),
    )


def configured(scene: Scene) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(scene.lab.dockerd.config.read_text())
    return told


def attempts_told(scene: Scene) -> str:
    """m of the runtime's own "retrying (n/m)" for a layer that fails."""
    with FaultProxy(scene.lab) as proxy:
        layer = images.layer_blob(images.SMALL.layers[0]).digest
        proxy.rule(Rule(f"/blobs/{layer}", status=502, times=2))  # dockerd asks twice an attempt
        scene.lab.registry.publish(images.SMALL)
        scene.clients.append(scene.lab.client("pull", proxy.reference(images.SMALL)))
        wait_until(lambda: "retrying (1/" in scene.lab.dockerd.log_text(), "a layer fails")
        assert scene.clients[-1].wait() == 0
    return scene.lab.dockerd.log_text().rpartition("retrying (1/")[2].partition(")")[0]


def test_in_force_after_a_restart_and_taken_back(scene: Scene) -> None:
    before = scene.lab.dockerd.pid

    result = scene.act("more_attempts", incident(scene))

    assert result["outcome"] == "done", result
    assert has_ended(before)
    assert attempts_told(scene) == "20"
    done = scene.run("revert", "more_attempts")
    assert done.returncode == 0, done.stderr.decode()
    assert configured(scene) == {}
    assert scene.act("fewer_parallel", limit_incident(scene))["outcome"] == "done"  # the file is known still


def limit_incident(scene: Scene) -> str:
    return scene.record(Cause.TIME_LIMIT, scene.lab.dockerd.pid, target=Target(), stage=(), decompressor=())


def test_a_dry_run_touches_nothing(scene: Scene) -> None:
    before = scene.lab.dockerd.pid

    result = scene.act("more_attempts", incident(scene), "--dry-run")

    assert result["steps"][0].startswith("set max-download-attempts to 20 in ")
    assert "replaces dockerd" in " ".join(result["steps"])
    assert (configured(scene), scene.lab.dockerd.pid, scene.ledger) == ({}, before, ())


def test_not_while_a_restart_is_forbidden(scene: Scene) -> None:
    scene.lab.unpigz.install()
    scene.lab.unpigz.arm(Fault.SLOW, after_bytes=0, runs=1)
    scene.lab.pull(images.OTHER)
    wait_until(lambda: scene.lab.dockerd.decompressors, "a pull is in extraction")

    result = scene.act("more_attempts", incident(scene))

    assert result["outcome"] == "refused"
    assert "something is under way that moves" in result["detail"]
    assert configured(scene) == {}


def test_without_a_restart_the_key_goes_again(scene: Scene) -> None:
    content = yaml.safe_load(scene.agent.config.read_text())
    content["runtimes"][0]["restart"] = ["/bin/sh", "-c", "exit 3"]
    scene.agent.configure(content)
    before = scene.lab.dockerd.pid

    result = scene.act("more_attempts", incident(scene))

    assert result["outcome"] == "failed", result
    assert (configured(scene), scene.lab.dockerd.pid) == ({}, before)


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_effect", "after_result"])
def test_killed_at_any_point_it_is_made_once_and_can_be_undone(scene: Scene, point: str) -> None:
    one, before = incident(scene), scene.lab.dockerd.pid
    scene.act("more_attempts", one, crash=point)
    if point in ("before_intent", "after_intent"):
        assert not has_ended(before)
        assert configured(scene) == {}
        assert scene.act("more_attempts", one)["outcome"] == "done"
    after = scene.lab.dockerd.pid

    scene.act("more_attempts", one)  # its incident is about a process that is gone

    assert scene.lab.dockerd.pid == after
    assert configured(scene) == {"max-download-attempts": 20}
    assert scene.run("revert", "more_attempts").returncode == 0
    assert configured(scene) == {}
