"""An action killed (-9) at any point, then tried again: at most one effect, counted by a witness."""

from __future__ import annotations

import time
from typing import Dict, List

import pytest
import yaml

from tests.act.scene import Scene
from tests.act.test_repull import killed_pull
from tests.act.test_reset_connection import hung, incident_of
from tests.lab import images
from tests.lab.faults import Fault, Form
from tests.lab.processes import wait_until
from tests.lab.proxy import FaultProxy
from watchdog.act.ledger import unfinished
from watchdog.act.request import Request, Verb
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome

pytestmark = pytest.mark.lab

POINTS = ["before_intent", "after_intent", "after_effect", "after_result"]


def stopped(scene: Scene) -> str:
    """A stopped decompressor that has much to do once it goes on; its incident."""
    pid = scene.slow_pull()
    scene.stop(pid)
    return scene.record(Cause.DECOMPRESSOR_STOPPED, pid)


def signals(scene: Scene, remedy: str, incident: str, name: str, point: str) -> List[str]:
    """The signals of that name that a killed action and a second one have sent together."""
    sent = scene.act_traced("pidfd_send_signal", remedy, incident, crash=point)
    sent += scene.act_traced("pidfd_send_signal", remedy, incident)
    return [line for line in sent if name in line]


def outcomes(scene: Scene) -> Dict[str, int]:
    """How often each outcome stands in the ledger; nothing may be left unfinished."""
    assert unfinished(scene.ledger) == []
    found: Dict[str, int] = {}
    for entry in scene.ledger:
        if entry.outcome is not None:
            found[entry.outcome.value] = found.get(entry.outcome.value, 0) + 1
    return found


@pytest.mark.parametrize("point", POINTS)
class TestAtEachPoint:
    def test_resume(self, scene: Scene, point: str) -> None:
        incident = stopped(scene)

        assert len(signals(scene, "resume", incident, "SIGCONT", point)) == 1
        scene.lab.unpigz.disarm()
        assert scene.pull_is_done()
        assert outcomes(scene)["done"] == 1

    def test_kill_decompressor(self, scene: Scene, point: str) -> None:
        pid = scene.hang(Fault.PAUSE, Form.WRAPPER)
        pids = scene.lab.dockerd.decompressors
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)

        sent = signals(scene, "kill_decompressor", incident, "SIGKILL", point)

        # Once its program is gone the wrapper may end by itself, before the signal reaches it.
        assert 1 <= len(sent) <= len(pids)
        assert scene.clients[-1].wait() != 0
        assert outcomes(scene)["done"] == 1

    def test_substitute_decompressor(self, scene: Scene, point: str) -> None:
        pid = scene.hang(Fault.PAUSE, runs=-1)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)

        made = scene.act_traced("symlinkat,symlink", "substitute_decompressor", incident, crash=point)
        made += scene.act_traced("symlinkat,symlink", "substitute_decompressor", incident)

        assert len([line for line in made if '"unpigz")' in line]) == 1
        assert scene.lab.pull(images.OTHER).wait() == 0
        assert outcomes(scene)["done"] == 1

    def test_repull(self, scene: Scene, point: str) -> None:
        incident, _ = killed_pull(scene)
        (layer,) = images.build(images.SMALL).layers
        before = len(scene.lab.registry.accesses(layer.digest))

        scene.act("repull", incident, crash=point)
        scene.act("repull", incident)

        assert len(scene.lab.registry.accesses(layer.digest)) == before + 1
        assert scene.lab.has(images.SMALL)
        assert outcomes(scene)["done"] == 2  # the kill's, and the repull's

    def test_restart_runtime(self, scene: Scene, point: str) -> None:
        pid = scene.hang(Fault.PAUSE)
        incident = scene.record(Cause.DECOMPRESSOR_BLOCKED, pid)

        scene.act("restart_runtime", incident, crash=point)
        second = scene.act("restart_runtime", incident)

        assert starts(scene) == 2, second
        assert outcomes(scene)["done"] == 1

    def test_reset_connection(self, scene: Scene, point: str) -> None:
        scene.lab.registry.publish(images.SMALL)
        content = yaml.safe_load(scene.agent.config.read_text())
        scene.agent.configure({**content, "thresholds": {"stalled": 2}})
        with FaultProxy(scene.lab) as proxy:
            target = hung(scene.lab, proxy)
            incident = scene.write(incident_of(scene.lab, target))
            time.sleep(1.0)  # half of what confirms a stall, with these thresholds

            scene.act("reset_connection", incident, crash=point)
            scene.act("reset_connection", incident)

            wait_until(
                lambda: scene.lab.dockerd.api.has_image(proxy.reference(images.SMALL)), "the image", 20.0
            )
            assert len(proxy.layers(images.SMALL)) == 2  # one reset is one request more
        assert outcomes(scene)["done"] == 1


def starts(scene: Scene) -> int:
    """How often the daemon was started, the lab's own start included."""
    return scene.lab.dockerd.log_text().count('msg="Starting up"')


class TestTheSecondRunSaysSo:
    @pytest.mark.parametrize(
        ("point", "outcome", "words"),
        [
            ("after_intent", Outcome.DONE, "it runs again"),
            ("after_effect", Outcome.DONE, "was cut short after it was made"),
            ("after_result", Outcome.REFUSED, "was continued before"),
        ],
    )
    def test_for_a_resume(self, scene: Scene, point: str, outcome: Outcome, words: str) -> None:
        incident = stopped(scene)
        scene.act("resume", incident, crash=point)

        result = scene.act("resume", incident)

        assert result["outcome"] == outcome.value
        assert words in result["detail"]


class TestANewAgent:
    """What its predecessor's actions have done is in the ledger soon after its start."""

    @pytest.mark.parametrize(("point", "outcome"), [("after_intent", "refused"), ("after_effect", "done")])
    def test_settles_what_was_cut_short(self, scene: Scene, point: str, outcome: str) -> None:
        incident = stopped(scene)
        scene.act("resume", incident, crash=point)

        answer = scene.ask(Request(Verb.SETTLE))

        assert answer["outcome"] == "done", answer
        assert outcomes(scene) == {outcome: 1}

    def test_finds_nothing_to_settle_after_a_whole_action(self, scene: Scene) -> None:
        incident = stopped(scene)
        scene.act("resume", incident)
        before = scene.ledger

        scene.ask(Request(Verb.SETTLE))

        assert scene.ledger == before
