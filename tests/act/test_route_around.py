"""route_around: a registry's name leads to the operator's alternative for a while, or it is said why not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml

from tests.act.own_etc import run_tests
from tests.act.scene import Scene
from tests.lab.images import OTHER, SMALL, build
from tests.lab.proxy import FaultProxy, Rule
from watchdog.act.ledger import unfinished
from watchdog.core.causes.finding import Cause
from watchdog.core.pull import AffectedPull
from watchdog.core.target import Target

pytestmark = pytest.mark.lab

HOST = "registry.example"
BEFORE = b"127.0.0.1\tlocalhost\n# kept by hand\n::1 localhost"


@dataclass
class Detour:
    """A scene whose image is of a registry that has an alternative: the lab's own, behind a fault proxy."""

    scene: Scene
    proxy: FaultProxy
    hosts: Path

    @property
    def registry(self) -> str:
        return f"{HOST}:{self.proxy.port}"

    def configure(self, **changes: Any) -> None:
        content = yaml.safe_load(self.scene.agent.config.read_text())
        self.scene.agent.configure({**content, **changes})

    def incident(self, image: str = "", cause: Cause = Cause.RESET_LOOP) -> str:
        """A pull from that registry that is cut again and again."""
        name = image or f"{self.registry}/{SMALL.repository}:1"
        pulls = (AffectedPull(name, build(SMALL).digest, connected=True),)
        daemon = self.scene.lab.dockerd.pid
        return self.scene.record(cause, daemon, pulls=pulls, target=Target())

    def act(self, incident: str, *options: str, crash: str = "") -> Dict[str, Any]:
        return self.scene.act("route_around", incident, *options, crash=crash)

    def refused(self, incident: str) -> str:
        result = self.act(incident)
        assert result["outcome"] == "refused", result
        assert self.hosts.read_bytes() == BEFORE and self.scene.ledger == ()
        return str(result["detail"])


@pytest.fixture
def detour(scene: Scene) -> Iterator[Detour]:
    scene.lab.registry.publish(SMALL)
    hosts = scene.lab.root / "hosts"
    hosts.write_bytes(BEFORE)
    with FaultProxy(scene.lab) as proxy:
        found = Detour(scene, proxy, hosts)
        route = {"registry": found.registry, "alternative": "http://127.0.0.1"}
        found.configure(routes=[route], hosts_file=str(hosts))
        yield found


class TestItIsMade:
    @pytest.mark.parametrize(
        "cause", [Cause.RESET_LOOP, Cause.TIME_LIMIT, Cause.SIZE_LIMIT, Cause.RANGE_UNSUPPORTED]
    )
    def test_for_every_cause_on_the_way(self, detour: Detour, cause: Cause) -> None:
        result = detour.act(detour.incident(cause=cause))

        assert result["outcome"] == "done", result
        first, rest = detour.hosts.read_bytes().split(b"\n", 1)
        assert first.startswith(f"127.0.0.1 {HOST} # pull-watchdog: route_around until 2".encode())
        assert rest == BEFORE

    def test_a_dry_run_touches_nothing(self, detour: Detour) -> None:
        result = detour.act(detour.incident(), "--dry-run")

        assert result["outcome"] == "done" and HOST in result["steps"][0], result
        assert detour.hosts.read_bytes() == BEFORE and detour.scene.ledger == ()

    def test_it_is_undone_to_the_byte(self, detour: Detour) -> None:
        detour.act(detour.incident())

        detour.scene.run("revert", "route_around")

        assert detour.hosts.read_bytes() == BEFORE
        assert detour.scene.ledger[-1].phase == "revert"

    def test_it_is_undone_when_its_time_is_over(self, detour: Detour) -> None:
        detour.configure(expiries={"route_around": "1s"})
        detour.act(detour.incident())
        time.sleep(1.2)

        detour.scene.run("revert", "--expired")

        assert detour.hosts.read_bytes() == BEFORE

    def test_undone_twice_or_after_somebody_removed_it_is_no_error(self, detour: Detour) -> None:
        detour.act(detour.incident())
        detour.hosts.write_bytes(BEFORE)

        assert detour.scene.run("revert", "route_around").returncode == 0
        assert detour.hosts.read_bytes() == BEFORE

    @pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_effect", "after_result"])
    def test_killed_at_any_point_there_is_one_line(self, detour: Detour, point: str) -> None:
        incident = detour.incident()
        detour.act(incident, crash=point)

        detour.act(incident)

        assert detour.hosts.read_bytes().count(HOST.encode()) == 1
        assert unfinished(detour.scene.ledger) == []
        detour.scene.run("revert", "route_around")
        assert detour.hosts.read_bytes() == BEFORE


class TestItIsRefused:
    def test_for_a_registry_without_a_route(self, detour: Detour) -> None:
        assert "no route around another.example" in detour.refused(detour.incident("another.example/a:1"))

    def test_for_another_cause(self, detour: Detour) -> None:
        assert "no remedy" in detour.refused(detour.incident(cause=Cause.DOWNLOAD_STALLED))

    def test_where_the_alternative_ignores_ranges(self, detour: Detour) -> None:
        detour.proxy.rule(Rule(ignore_range=True))
        assert "no ranges" in detour.refused(detour.incident())

    def test_where_the_alternative_does_not_have_the_image(self, detour: Detour) -> None:
        image = f"{detour.registry}/{OTHER.repository}:1"
        assert "does not have it" in detour.refused(detour.incident(image))

    def test_where_the_runtime_does_not_read_that_file(self, detour: Detour) -> None:
        detour.configure(hosts_file="/nowhere/hosts")
        assert "does not read" in detour.refused(detour.incident())

    def test_where_the_runtime_goes_through_a_proxy(self, detour: Detour) -> None:
        detour.scene.lab.dockerd.environment.write_text("HTTPS_PROXY=http://127.0.0.1:3128\n")
        detour.scene.lab.dockerd.restart()
        assert "HTTP proxy" in detour.refused(detour.incident())

    def test_where_somebody_has_given_that_name_an_address(self, detour: Detour) -> None:
        theirs = BEFORE + f"\n10.9.9.9 {HOST}\n".encode()
        detour.hosts.write_bytes(theirs)
        result = detour.act(detour.incident())
        assert result["outcome"] == "refused" and "10.9.9.9" in result["detail"]
        assert detour.hosts.read_bytes() == theirs


def test_a_real_dockerd_takes_the_other_way(tmp_path: Path, _lab_is_possible: None) -> None:
    before = (Path("/etc/hosts").read_bytes(), Path("/etc/hosts").stat().st_ino)

    run_tests("inside_own_etc.py", tmp_path)

    assert (Path("/etc/hosts").read_bytes(), Path("/etc/hosts").stat().st_ino) == before
