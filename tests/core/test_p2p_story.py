"""The engine and a P2P client: when it acts, when it waits, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List

from tests.core.scene import Scene, enforce
from tests.core.test_causes_p2p import LOGS, RUST
from watchdog.core.observation import LogLine, Observation, ProcessKey, TransferScan
from watchdog.core.policy import Remedy
from watchdog.core.tick import Call

RAISE, RESTART = Remedy.RAISE_P2P_TIMEOUT, Remedy.RESTART_P2P


class P2pScene(Scene):
    """A node with a Rust client; `fails`: a piece of it times out at each tick, and is counted."""

    def __init__(self, *remedies: Remedy) -> None:
        super().__init__(enforce(*remedies))
        self.client = replace(RUST, tasks_failed=0, came=0, moving=False)
        self.fails = False

    def observe(self) -> List[Observation]:
        if self.fails:
            self.client = replace(self.client, tasks_failed=(self.client.tasks_failed or 0) + 1)
            self.news += [
                LogLine("dfdaemon", line) for line in (LOGS / "s4/rust.log").read_text().splitlines()
            ]
        return [*super().observe(), self.client, TransferScan(self.runtime, self.daemon.key)]

    def restarted(self) -> None:
        """Another process, with the line that was changed."""
        self.fails = False
        self.client = replace(self.client, process=ProcessKey(800, 9), tasks_failed=0, came=0)

    def brings(self, seconds: int) -> Any:
        """Pieces come, a second each."""
        for _ in range(seconds):
            self.client = replace(self.client, came=(self.client.came or 0) + 1)
            self.tick()
        return self.ticks[-1]


def failing(*remedies: Remedy) -> P2pScene:
    scene = P2pScene(*remedies)
    scene.tick(3)
    scene.fails = True
    return scene


def test_its_time_out_is_raised_and_it_has_recovered_when_pieces_come():
    scene = failing(RAISE)
    scene.until("confirmed")
    scene.tick(2)
    assert scene.decided == [RAISE.value]
    scene.restarted()
    scene.brings(4)
    assert scene.story == ["confirmed", "acting", "verifying", "recovered"]
    scene.tick(30)
    assert scene.story[-1] == "recovered" and scene.decided == [RAISE.value]


def test_what_is_off_is_only_told():
    scene = failing()
    record = scene.until("confirmed")
    scene.tick(5)
    assert scene.decided == []
    assert "pieceTimeout: 600s" in " ".join(record["advice"])


def test_it_waits_while_transfers_go_through_the_client():
    scene = failing(RAISE)
    scene.client = replace(scene.client, moving=True)
    scene.until("confirmed")
    scene.tick(20)
    assert scene.decided == []
    assert "a restart would lose them" in scene.decisions(Call.WAIT)[-1].reason
    scene.client = replace(scene.client, moving=False)
    scene.tick(2)
    assert scene.decided == [RAISE.value]


def test_what_moves_and_is_not_seen_is_waited_for_as_well():
    scene = failing(RAISE)
    scene.client = replace(scene.client, moving=None)
    scene.until("confirmed")
    scene.tick(10)
    assert scene.decided == []


def test_a_restart_comes_after_a_raise_that_was_no_use():
    scene = failing(RAISE, RESTART)
    scene.until("confirmed")
    scene.tick(200)  # nothing changes
    assert scene.decided[:2] == [RAISE.value, RESTART.value]


def test_one_failure_that_is_counted_before_and_no_more_is_none():
    scene = P2pScene(RAISE)
    scene.tick(3)
    scene.news.append(LogLine("dfdaemon", (LOGS / "s4/rust.log").read_text().splitlines()[-1]))
    scene.tick(60)
    assert scene.story == []
