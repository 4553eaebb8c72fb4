"""dump_goroutines: a real dockerd without a free descriptor is silent; its stacks, or why there are none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.act.own_etc import run_tests
from tests.act.scene import PYTHON, Scene, sample
from tests.lab.cases.unresponsive import without_descriptors
from tests.lab.processes import has_ended, wait_until
from watchdog.act.ledger import unfinished
from watchdog.core.causes.finding import Cause
from watchdog.core.target import Target

pytestmark = pytest.mark.lab


def incident(scene: Scene) -> str:
    return scene.record(Cause.DAEMON_UNRESPONSIVE, scene.lab.dockerd.pid, target=Target(reason="silent"))


def answers(scene: Scene) -> bool:
    try:
        scene.lab.dockerd.api.call("GET", "/_ping", deadline_s=1.5)
    except OSError:
        return False
    return True


def configure(scene: Scene, **changes: object) -> None:
    scene.agent.configure({**yaml.safe_load(scene.agent.config.read_text()), **changes})


def dumps(scene: Scene) -> list[Path]:
    return list(scene.lab.root.glob("exec/goroutine-stacks-*.log"))


@pytest.fixture
def silent(scene: Scene) -> Iterator[Scene]:
    """A dockerd that has no descriptor left: who asks it waits in its queue."""
    configure(scene, deadlines={"dump_goroutines": "6s"})
    with without_descriptors(scene.lab.dockerd.pid):
        wait_until(lambda: not answers(scene), "the API is silent")
        yield scene


def test_without_a_free_descriptor_it_is_said_that_nothing_was_written(silent: Scene) -> None:
    result = silent.act("dump_goroutines", incident(silent))

    assert result["outcome"] == "done", result
    assert "has written nothing" in result["detail"] and dumps(silent) == []
    assert not has_ended(silent.lab.dockerd.pid)


def test_the_stacks_of_one_whose_plugin_hangs(tmp_path: Path, _lab_is_possible: None) -> None:
    run_tests("inside_own_etc_plugin.py", tmp_path)


def test_one_that_answers_is_left_alone(scene: Scene) -> None:
    result = scene.act("dump_goroutines", incident(scene))

    assert result["outcome"] == "refused" and "not silent" in result["detail"]
    assert dumps(scene) == [] and scene.ledger == ()


def test_a_process_without_a_handler_would_die_of_it(scene: Scene) -> None:
    socket = scene.lab.root / "deaf.sock"
    program = (
        "import socket, sys, time; s = socket.socket(1); s.bind(sys.argv[1]); s.listen(); time.sleep(60)"
    )
    with subprocess.Popen([PYTHON, "-c", program, str(socket)]) as other:
        wait_until(socket.exists, "it listens")
        runtime = yaml.safe_load(scene.agent.config.read_text())["runtimes"][0]
        configure(scene, runtimes=[{**runtime, "socket": f"unix://{socket}"}])
        record = incident(scene)
        scene.write(replace(scene.read(record), daemon=sample(other.pid)))

        result = scene.act("dump_goroutines", record)

        assert result["outcome"] == "refused" and "no handler" in result["detail"], result
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_effect", "after_result"])
def test_killed_at_any_point_its_story_is_whole(silent: Scene, point: str) -> None:
    record = incident(silent)
    silent.act("dump_goroutines", record, crash=point)

    silent.act("dump_goroutines", record)

    assert unfinished(silent.ledger) == []
    assert not has_ended(silent.lab.dockerd.pid)
