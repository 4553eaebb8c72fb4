"""restart_p2p on a client that runs, hangs, is down, or is busy."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.act.p2p_scene import P2pScene, client, pulling, trickle
from tests.lab.processes import SYSTEM_PATH
from watchdog.act.ledger import unfinished
from watchdog.core.causes.finding import Cause

pytestmark = pytest.mark.lab
REMEDY = "restart_p2p"
POINTS = ["before_intent", "after_intent", "after_effect", "after_result"]


@pytest.fixture
def scene() -> Iterator[P2pScene]:
    with client("v2_go") as one:
        yield one


@pytest.mark.parametrize("generation", ["v1", "v2_go", "v2_rust"])
def test_another_process_answers_in_its_place(generation: str) -> None:
    with client(generation) as scene:
        before, config = scene.dragonfly.pid, scene.dragonfly.config.read_bytes()
        result = scene.act(REMEDY, scene.incident(Cause.P2P_NO_SCHEDULER))
        assert result["outcome"] == "done", result
        assert result["extra"] == {"old_pid": before, "new_pid": scene.dragonfly.pid}
        assert scene.dragonfly.starts == 2
        assert scene.dragonfly.config.read_bytes() == config


def test_one_that_is_down_comes_up(scene: P2pScene) -> None:
    """After it ran out of memory its unit leaves it down (Restart=on-success)."""
    scene.dragonfly.kill()
    result = scene.act(REMEDY, scene.incident(Cause.MIRROR_FAILING))
    assert result["outcome"] == "done", result
    assert "is up" in result["detail"]


def test_a_pull_that_hangs_on_it_does_not_keep_it_from_being_restarted(scene: P2pScene) -> None:
    with socket.create_connection(("127.0.0.1", scene.dragonfly.port), 5):  # asks for nothing
        assert scene.act(REMEDY, scene.incident(Cause.P2P_NO_SCHEDULER))["outcome"] == "done"


@pytest.mark.parametrize("bytes_per_s", [20_000, 5_000_000])
def test_not_while_a_transfer_goes_through_it_however_slow(bytes_per_s: int) -> None:
    with trickle(bytes_per_s) as registry, client("v2_rust", registry) as scene, pulling(scene):
        result = scene.act(REMEDY, scene.incident(Cause.P2P_NO_SCHEDULER))
        assert result["outcome"] == "refused" and "would lose" in result["detail"]
        assert scene.dragonfly.starts == 1


def test_rehearsed_nothing_happens(scene: P2pScene) -> None:
    result = scene.act(REMEDY, scene.incident(Cause.P2P_NO_SCHEDULER), "--dry-run")
    assert result["dry_run"] and str(scene.dragonfly.service) in result["steps"][0]
    assert scene.dragonfly.starts == 1 and scene.ledger == ()


def test_it_cannot_be_undone_and_says_why(scene: P2pScene) -> None:
    result = scene.act(REMEDY, scene.incident(Cause.P2P_NO_SCHEDULER))
    done = scene.run("revert", result["action"])
    assert done.returncode != 0 and b"does not come back" in done.stdout + done.stderr


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point_there_is_one_restart(scene: P2pScene, point: str) -> None:
    incident = scene.incident(Cause.P2P_NO_SCHEDULER)
    scene.act(REMEDY, incident, crash=point)
    second = scene.act(REMEDY, incident)
    # Once a restart has its result it may be asked for anew; the agent's budget forbids it.
    assert scene.dragonfly.starts == (3 if point == "after_result" else 2), second
    assert unfinished(scene.ledger) == []


SYSTEMCTL = """\
#!/bin/sh
# What systemctl says and does for the client's unit.
case $1 in
show) echo MainPID={main} ;;
restart) {service} restart ;;
esac
"""


@pytest.mark.parametrize(("main", "outcome"), [("$(cat {pid})", "done"), ("1", "refused")])
def test_its_unit_is_restarted_if_the_process_is_its(scene: P2pScene, main: str, outcome: str) -> None:
    one = scene.dragonfly
    programs = one.folder / "bin"
    programs.mkdir()
    text = SYSTEMCTL.format(main=main.format(pid=one.folder / "pid"), service=one.service)
    (programs / "systemctl").write_text(text)
    (programs / "systemctl").chmod(0o755)
    unit = P2pScene(scene.lab, one, restart=None, service="dfget-daemon.service")
    incident = unit.incident(Cause.P2P_NO_SCHEDULER)
    before = ["env", f"PATH={programs}:{SYSTEM_PATH}"]

    done = unit.run("act", REMEDY, "--incident", incident, "--json", before=before)

    result = json.loads(done.stdout)
    assert result["outcome"] == outcome, result
    assert one.starts == (2 if outcome == "done" else 1)


def test_a_command_that_does_nothing_is_a_failure() -> None:
    with client("v1", restart=["/bin/false"]) as scene:
        result = scene.act(REMEDY, scene.incident(Cause.P2P_NO_SCHEDULER))
        assert result["outcome"] == "failed" and "no new process" in result["detail"]
