"""fewer_parallel on a real dockerd: one layer at a time for the next pull, and as before afterwards."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.act.scene import Scene
from tests.lab import images
from tests.lab.proxy import BLOBS, FaultProxy, Rule
from watchdog.core.causes.finding import Cause
from watchdog.core.target import Target

pytestmark = pytest.mark.lab

SLOW = Rule(BLOBS, size_at_least=images.MB, rate_bytes_per_s=8 * images.MB)


def incident(scene: Scene, cause: Cause = Cause.TIME_LIMIT, subject: str = "1.1/GetImageBlob1 cuts") -> str:
    return scene.record(
        cause, scene.lab.dockerd.pid, target=Target(), subject=subject, stage=(), decompressor=()
    )


def act(scene: Scene, *options: str, of: str = "", crash: str = "") -> dict[str, Any]:
    return scene.act("fewer_parallel", of or incident(scene), *options, crash=crash)


def configured(scene: Scene) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(scene.lab.dockerd.config.read_text())
    return told


def in_force(scene: Scene) -> str:
    """The last reload's word."""
    return scene.lab.dockerd.log_text().rpartition("Reloaded configuration")[2]


def most_at_once(scene: Scene, image: images.Image) -> int:
    """How many layers of a pull were on their way at one time."""
    with FaultProxy(scene.lab, name=f"proxy-{time.monotonic_ns()}") as proxy:
        proxy.rule(SLOW)
        scene.lab.registry.publish(image)
        assert scene.lab.client("pull", proxy.reference(image)).wait() == 0
        spans = [(one.at_s, one.at_s + one.seconds) for one in proxy.layers(image)]
        scene.lab.dockerd.api.remove_image(proxy.reference(image))
    settled = [(begin, end - 0.5) for begin, end in spans]  # the proxy hears of an end a moment later
    return max(sum(begin <= at < end for begin, end in settled) for at, _ in settled)


def test_one_layer_at_a_time_and_back(scene: Scene) -> None:
    assert most_at_once(scene, images.MULTI) > 1

    result = act(scene)

    assert result["outcome"] == "done", result
    assert configured(scene) == {"max-concurrent-downloads": 1}
    assert most_at_once(scene, images.MULTI) == 1
    assert scene.run("revert", "fewer_parallel").returncode == 0
    assert configured(scene) == {}
    assert '\\"max-concurrent-downloads\\":3' in in_force(scene)
    assert most_at_once(scene, images.MULTI) > 1


def test_of_a_push_it_is_the_uploads(scene: Scene) -> None:
    subject = incident(scene, Cause.REGISTRY_OVERLOADED, "1.1/push answers localhost:5000")

    assert act(scene, of=subject)["outcome"] == "done"

    assert configured(scene) == {"max-concurrent-uploads": 1}
    assert '\\"max-concurrent-uploads\\":1' in in_force(scene)


def test_a_dry_run_touches_nothing(scene: Scene) -> None:
    result = act(scene, "--dry-run")

    assert "set max-concurrent-downloads to 1" in result["steps"][0]
    assert configured(scene) == {}
    assert in_force(scene) == scene.lab.dockerd.log_text()
    assert scene.ledger == ()


def test_where_it_is_one_already(scene: Scene) -> None:
    scene.lab.dockerd.config.write_text('{"max-concurrent-downloads": 1}')
    scene.lab.dockerd.restart()

    result = act(scene)

    assert (result["outcome"], result["detail"]) == ("refused", "it is 1 already")


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_effect", "after_result"])
def test_killed_at_any_point_it_can_be_undone(scene: Scene, point: str) -> None:
    one = incident(scene)
    act(scene, of=one, crash=point)
    act(scene, of=one)

    assert configured(scene) == {"max-concurrent-downloads": 1}
    done = [each for each in scene.ledger if each.outcome is not None and each.outcome.value == "done"]
    assert len(done) == 1
    assert scene.run("revert", "fewer_parallel").returncode == 0
    assert configured(scene) == {}
