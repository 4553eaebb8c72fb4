"""bypass_mirror on a real dockerd: a mirror of docker.io that fails, and almost-such ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.act.scene import Scene
from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.docker_io import SMALL, DockerIo
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.proxy import BEFORE_HEAD, BLOBS, MANIFESTS, Ending, FaultProxy, Rule
from watchdog.core.causes.finding import Cause
from watchdog.core.pull import AffectedPull
from watchdog.core.target import Target

pytestmark = pytest.mark.lab

CRASH_POINTS = ("before_intent", "after_intent", "after_effect", "after_result")
SILENT_MANIFEST = tuple(
    Rule(MANIFESTS, method, ending=Ending.STALL, after_bytes=BEFORE_HEAD) for method in ("GET", "HEAD")
)
SILENT_BLOBS = (Rule(BLOBS, ending=Ending.STALL, after_bytes=BEFORE_HEAD),)
BAD_GATEWAY = (Rule("/v2/", status=502), Rule("/v2/", "HEAD", status=502))


@dataclass
class Stage:
    """A lab with one mirror of docker.io, and docker.io."""

    scene: Scene
    mirror: FaultProxy
    origin: DockerIo

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.mirror.port}"

    @property
    def mirrors(self) -> list[str]:
        return self.scene.lab.dockerd.api.mirrors()

    def incident(self, **target: Any) -> str:
        subject = Target(**{"endpoint": f"{self.endpoint}/", "reason": "hangs", **target})
        return self.scene.record(
            Cause.MIRROR_FAILING,
            self.scene.lab.dockerd.pid,
            pulls=(AffectedPull("lab/small:1"),),
            target=subject,
            stage=(),
            decompressor=(),
        )

    def act(self, *options: str, crash: str = "", incident: str = "") -> dict[str, Any]:
        return self.scene.act("bypass_mirror", incident or self.incident(), *options, crash=crash)

    def has_image(self) -> bool:
        return self.scene.lab.dockerd.api.has_image("lab/small:1")

    def pull(self) -> None:
        """Start a pull, and wait until it asks the mirror for something that is not answered."""
        self.scene.clients.append(self.scene.lab.client("pull", "lab/small:1"))
        wait_until(
            lambda: [one for one in self.mirror.accesses("", ("GET", "HEAD")) if one.ending is None],
            "the pull waits at the mirror",
        )


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield staged(stack)


def staged(stack: ExitStack, closed: bool = False, more: tuple[str, ...] = ()) -> Stage:
    lab = Lab()
    stack.callback(lab.stop)
    lab.registry.start()
    lab.registry.publish(SMALL)
    origin = stack.enter_context(DockerIo(lab, closed))
    mirror = stack.enter_context(FaultProxy(lab))
    mirrors = [f"http://127.0.0.1:{mirror.port}", *more]
    lab.dockerd.config.write_text(json.dumps({"registry-mirrors": mirrors, "labels": ["a=b"]}, indent=2))
    lab.dockerd.start()
    return Stage(Scene(lab, Agent(lab)), mirror, origin)


class TestBypassing:
    def test_a_pull_that_waits_for_a_manifest_goes_on_to_the_origin(self, stage: Stage) -> None:
        daemon = stage.scene.lab.dockerd.pid
        stage.mirror.rule(*SILENT_MANIFEST)
        stage.pull()

        result = stage.act()

        assert result["outcome"] == "done", result
        assert "1 silent request(s) to it were ended" in result["detail"]
        assert stage.mirrors == []
        assert stage.scene.clients[-1].wait() == 0
        assert stage.has_image()
        assert stage.scene.lab.dockerd.pid == daemon

    def test_a_pull_that_waits_for_its_layers_goes_on_to_the_origin(self, stage: Stage) -> None:
        stage.mirror.rule(*SILENT_BLOBS)
        stage.pull()

        result = stage.act()

        assert result["outcome"] == "done", result
        assert stage.scene.clients[-1].wait() == 0
        assert stage.has_image()
        assert any("/blobs/" in line for line in stage.origin.requests())

    def test_of_one_that_answers_502(self, stage: Stage) -> None:
        stage.mirror.rule(*BAD_GATEWAY)

        result = stage.act(incident=stage.incident(reason="5xx"))

        assert result["outcome"] == "done", result
        before = len(stage.mirror.accesses("", ("GET", "HEAD")))
        assert stage.scene.lab.client("pull", "lab/small:1").wait() == 0
        assert len(stage.mirror.accesses("", ("GET", "HEAD"))) == before

    def test_other_mirrors_stay(self) -> None:
        with ExitStack() as stack:
            stage = staged(stack, more=("http://127.0.0.1:1/",))
            stage.mirror.rule(*BAD_GATEWAY)

            assert stage.act()["outcome"] == "done"
            assert stage.mirrors == ["http://127.0.0.1:1/"]

    def test_it_may_be_named_by_host_and_port(self, stage: Stage) -> None:
        stage.mirror.rule(*BAD_GATEWAY)
        address = f"127.0.0.1:{stage.mirror.port}"

        assert stage.act(incident=stage.incident(endpoint=address))["outcome"] == "done"
        assert stage.mirrors == []

    def test_a_dry_run_touches_nothing(self, stage: Stage) -> None:
        stage.mirror.rule(*BAD_GATEWAY)
        before = stage.scene.lab.dockerd.config.read_text()

        result = stage.act("--dry-run")

        assert result["outcome"] == "done", result
        assert "take http://127.0.0.1" in result["steps"][0]
        assert "answered 502" in result["steps"][0]
        assert stage.scene.lab.dockerd.config.read_text() == before
        assert stage.mirrors == [f"{stage.endpoint}/"]
        assert stage.scene.ledger == ()


class TestUndoing:
    def test_the_mirror_is_back_in_use(self, stage: Stage) -> None:
        before = stage.scene.lab.dockerd.config.read_text()
        stage.mirror.rule(*BAD_GATEWAY)
        action = stage.act()["action"]
        stage.mirror.rule()

        done = stage.scene.run("revert", action)

        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        assert stage.scene.lab.dockerd.config.read_text() == before
        assert stage.mirrors == [f"{stage.endpoint}/"]
        assert stage.scene.lab.client("pull", "lab/small:1").wait() == 0
        assert [one for one in stage.mirror.layers(SMALL) if one.status == 200]

    def test_it_expires(self, stage: Stage) -> None:
        content = yaml.safe_load(stage.scene.agent.config.read_text())
        stage.scene.agent.configure({**content, "expiries": {"bypass_mirror": "1s"}})
        stage.mirror.rule(*BAD_GATEWAY)
        stage.act()

        wait_until(
            lambda: stage.scene.run("revert", "expired").returncode == 0 and stage.mirrors, "it has expired"
        )


class TestRefusals:
    def refused(self, stage: Stage, **target: Any) -> str:
        before = stage.scene.lab.dockerd.config.read_text()
        result = stage.act(incident=stage.incident(**target))
        assert result["outcome"] == "refused", result
        assert stage.scene.lab.dockerd.config.read_text() == before
        assert stage.mirrors == [f"{stage.endpoint}/"]
        assert stage.scene.ledger == ()
        return str(result["detail"])

    def test_of_a_mirror_that_serves(self, stage: Stage) -> None:
        assert "the mirror serves by now" in self.refused(stage)

    def test_of_one_that_does_not_have_the_image(self, stage: Stage) -> None:
        stage.mirror.rule(Rule(MANIFESTS, status=404))

        assert "the mirror serves by now" in self.refused(stage)

    def test_where_it_is_the_only_way_out(self) -> None:
        with ExitStack() as stack:
            stage = staged(stack, closed=True)
            stage.mirror.rule(*BAD_GATEWAY)

            assert "may be the only way out of this node" in self.refused(stage)

    def test_of_one_that_is_not_in_the_list(self, stage: Stage) -> None:
        assert "is not among the registry-mirrors" in self.refused(stage, endpoint="http://127.0.0.1:9/")

    def test_of_an_incident_without_a_mirror(self, stage: Stage) -> None:
        assert "names no mirror" in self.refused(stage, endpoint="")

    def test_while_an_edit_waits(self, stage: Stage) -> None:
        stage.mirror.rule(*BAD_GATEWAY)
        config = stage.scene.lab.dockerd.config
        config.write_text(config.read_text().replace("a=b", "c=d"))

        assert "edits that are not in force (labels)" in self.refused(stage)


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_killed_at_any_point_it_is_made_once_and_can_be_undone(stage: Stage, point: str) -> None:
    before = stage.scene.lab.dockerd.config.read_text()
    stage.mirror.rule(*BAD_GATEWAY)
    incident = stage.incident()
    stage.act(crash=point, incident=incident)

    again = stage.act(incident=incident)

    assert stage.mirrors == []
    intents = [one for one in stage.scene.ledger if one.phase == "intent"]
    done = [one for one in stage.scene.ledger if one.outcome is not None and one.outcome.value == "done"]
    assert len(done) == 1, (again, intents)
    assert stage.scene.run("revert", "bypass_mirror").returncode == 0
    assert stage.mirrors == [f"{stage.endpoint}/"]
    assert stage.scene.lab.dockerd.config.read_text() == before


def test_a_pull_from_elsewhere_is_left_alone(stage: Stage) -> None:
    """It is slow, and not one of its connections leads to the mirror."""
    with FaultProxy(stage.scene.lab, name="elsewhere") as elsewhere:
        stage.scene.lab.registry.publish(images.SMALL)
        elsewhere.rule(Rule(BLOBS, size_at_least=images.MB, rate_bytes_per_s=2 * images.MB))
        client = stage.scene.lab.client("pull", elsewhere.reference(images.SMALL))
        stage.mirror.rule(*SILENT_MANIFEST)
        stage.pull()

        assert stage.act()["outcome"] == "done"

        assert client.wait() == 0
        assert [one.range_from for one in elsewhere.layers(images.SMALL)] == [None]
