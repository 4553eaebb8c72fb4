"""raise_p2p_timeout on a client that runs: one line and nothing else, in force, and put back to the byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import List, Tuple

import pytest

from tests.act.p2p_scene import P2pScene, client, pulling, trickle
from watchdog.act.ledger import unfinished
from watchdog.act.raise_p2p_timeout import seconds_of
from watchdog.act.request import Request, Verb
from watchdog.core.causes.finding import Cause

pytestmark = pytest.mark.lab
REMEDY = "raise_p2p_timeout"
POINTS = ["before_intent", "after_intent", "after_effect", "after_result"]
GENERATIONS = {
    "v2_rust": ("  pieceTimeout: 2s   # ours, since the pilot\n", "600s"),
    "v2_go": ('  pieceDownloadTimeout: "2s"\n', "600s"),
}


@pytest.fixture(params=sorted(GENERATIONS))
def scene(request: pytest.FixtureRequest) -> Iterator[P2pScene]:
    with client(request.param) as one:
        yield one


@pytest.fixture
def rust() -> Iterator[P2pScene]:
    with client("v2_rust") as one:
        yield one


def changed_lines(before: bytes, after: bytes) -> List[Tuple[str, str]]:
    pairs = zip(before.decode().splitlines(True), after.decode().splitlines(True))
    return [(old, new) for old, new in pairs if old != new]


def refusal(scene: P2pScene, **fields: str) -> str:
    """Why it is refused; nothing of the client was touched."""
    before, pid = scene.dragonfly.config.read_bytes(), scene.dragonfly.pid
    result = scene.act(REMEDY, scene.incident(**fields))  # type: ignore[arg-type]
    assert result["outcome"] == "refused", result
    assert (scene.dragonfly.config.read_bytes(), scene.dragonfly.pid) == (before, pid)
    return str(result["detail"])


class TestIsMade:
    def test_one_line_of_its_generations_key_and_a_new_process(self, scene: P2pScene) -> None:
        config, pid = scene.dragonfly.config, scene.dragonfly.pid
        before, mode = config.read_bytes(), config.stat().st_mode

        result = scene.act(REMEDY, scene.incident())

        line, value = GENERATIONS[scene.dragonfly.generation]
        assert result["outcome"] == "done", result
        assert changed_lines(before, config.read_bytes()) == [(line, line.replace("2s", value))]
        assert config.stat().st_mode == mode
        assert scene.dragonfly.pid != pid and str(scene.dragonfly.pid) in result["detail"]
        assert sorted(config.parent.glob(".*")) == []

    def test_undone_the_file_has_its_old_bytes(self, scene: P2pScene) -> None:
        before = scene.dragonfly.config.read_bytes()
        result = scene.act(REMEDY, scene.incident())
        assert scene.dragonfly.config.read_bytes() != before

        done = scene.run("revert", result["action"])

        assert done.returncode == 0, done.stderr
        assert scene.dragonfly.config.read_bytes() == before
        assert scene.run("revert", result["action"]).returncode == 0  # twice is harmless
        assert scene.dragonfly.config.read_bytes() == before

    def test_undone_after_somebody_edited_the_rest(self, rust: P2pScene) -> None:
        config = rust.dragonfly.config
        before = config.read_text()
        result = rust.act(REMEDY, rust.incident())
        config.write_text(config.read_text() + "# a new line\n")

        rust.run("revert", result["action"])

        assert config.read_text() == before + "# a new line\n"

    def test_undone_after_somebody_set_another_value(self, rust: P2pScene) -> None:
        result = rust.act(REMEDY, rust.incident())
        theirs = rust.dragonfly.config.read_text().replace("600s", "900s")
        rust.dragonfly.config.write_text(theirs)

        rust.run("revert", result["action"])

        assert rust.dragonfly.config.read_text() == theirs

    def test_rehearsed_nothing_is_touched(self, scene: P2pScene) -> None:
        before, pid = scene.dragonfly.config.read_bytes(), scene.dragonfly.pid
        result = scene.act(REMEDY, scene.incident(), "--dry-run")
        assert result["dry_run"] and "600s" in " ".join(result["steps"])
        assert scene.dragonfly.config.read_bytes() == before and scene.dragonfly.pid == pid
        assert scene.ledger == ()

    def test_the_process_is_what_the_rehearsal_said(self, rust: P2pScene) -> None:
        """The twin: without --dry-run the same steps are in the ledger, and made."""
        incident = rust.incident()
        steps = rust.act(REMEDY, incident, "--dry-run")["steps"]
        rust.act(REMEDY, incident)
        assert rust.ledger[0].detail == "; ".join(steps)


class TestKilled:
    @pytest.mark.parametrize("point", POINTS)
    def test_at_each_point_there_is_one_restart(self, rust: P2pScene, point: str) -> None:
        before, incident = rust.dragonfly.config.read_text(), rust.incident()
        rust.act(REMEDY, incident, crash=point)

        rust.act(REMEDY, incident)

        assert rust.dragonfly.starts == 2  # its first one, and ours
        assert rust.dragonfly.config.read_text() == before.replace("2s", "600s", 1)
        assert unfinished(rust.ledger) == []

    def test_between_the_line_and_the_restart_the_line_is_put_back(self, rust: P2pScene) -> None:
        """The state that no crash point makes: written, not restarted.  Settled as if nothing was done."""
        config, incident = rust.dragonfly.config, rust.incident()
        before = config.read_bytes()
        rust.act(REMEDY, incident, crash="after_intent")
        config.write_bytes(before.replace(b"pieceTimeout: 2s", b"pieceTimeout: 600s"))

        assert rust.ask(Request(Verb.SETTLE))["outcome"] == "done"

        assert config.read_bytes() == before
        assert unfinished(rust.ledger) == []


class TestIsRefused:
    def test_for_a_key_that_only_another_generation_knows(self, rust: P2pScene) -> None:
        config = rust.dragonfly.config
        config.write_text(config.read_text().replace("pieceTimeout:", "pieceDownloadTimeout:"))
        assert "download.pieceTimeout is not written" in refusal(rust)

    def test_for_a_value_that_is_high_already(self, rust: P2pScene) -> None:
        config = rust.dragonfly.config
        config.write_text(config.read_text().replace("pieceTimeout: 2s", "pieceTimeout: 10m"))
        assert "is 10m already" in refusal(rust)

    def test_for_a_value_that_is_no_time(self, rust: P2pScene) -> None:
        config = rust.dragonfly.config
        config.write_text(config.read_text().replace("pieceTimeout: 2s", "pieceTimeout: soon"))
        assert "no time that we understand" in refusal(rust)

    def test_for_a_line_that_others_share(self, rust: P2pScene) -> None:
        config = rust.dragonfly.config
        text = config.read_text().replace("pieceTimeout: 2s", "pieceTimeout: &t 2s")
        config.write_text(text.replace("scheduleTimeout: 30s", "scheduleTimeout: *t"))
        assert "could be changed alone" in refusal(rust)

    def test_for_a_config_map(self, rust: P2pScene) -> None:
        """How the kubelet mounts one: a link into a folder that it exchanges."""
        config = rust.dragonfly.config
        folder = config.parent / "..2026_11_21"
        folder.mkdir()
        config.rename(folder / config.name)
        (config.parent / "..data").symlink_to(folder.name)
        config.symlink_to(f"..data/{config.name}")
        assert "change its chart's values" in refusal(rust)

    def test_for_a_file_with_another_name(self, rust: P2pScene) -> None:
        os.link(rust.dragonfly.config, rust.dragonfly.config.with_suffix(".kept"))
        assert "2 names" in refusal(rust)

    def test_where_others_can_write(self, rust: P2pScene) -> None:
        rust.dragonfly.config.parent.chmod(0o777)
        assert "others than root" in refusal(rust)

    def test_for_a_client_at_another_address(self, rust: P2pScene) -> None:
        assert "not the one of this incident" in refusal(rust, endpoint="127.0.0.1:1")

    def test_for_another_generation_than_was_seen(self, rust: P2pScene) -> None:
        assert "not the one of this incident" in refusal(rust, reason="v2_go")

    def test_for_another_cause(self, rust: P2pScene) -> None:
        result = rust.act(REMEDY, rust.incident(Cause.P2P_NO_SCHEDULER))
        assert result["outcome"] == "refused" and "no remedy" in result["detail"]

    def test_while_a_transfer_goes_through_it(self) -> None:
        with trickle(20_000) as registry, client("v2_rust", registry) as one, pulling(one):
            assert "transfers go through it" in refusal(one)

    def test_for_dragonfly_1(self) -> None:
        with client("v1") as one:
            assert "no time-out of pieces" in refusal(one)


class TestWithoutARestart:
    def test_a_command_that_fails_leaves_the_old_bytes(self) -> None:
        with client("v2_rust", restart=["/bin/false"]) as one:
            before, pid = one.dragonfly.config.read_bytes(), one.dragonfly.pid
            result = one.act(REMEDY, one.incident())
            assert result["outcome"] == "failed", result
            assert "is 2s again" in result["detail"]
            assert (one.dragonfly.config.read_bytes(), one.dragonfly.pid) == (before, pid)

    def test_a_client_that_does_not_come_up_with_it_runs_again_with_the_old_bytes(self) -> None:
        with client("v2_rust") as one:
            config, picky = one.dragonfly.config, one.dragonfly.folder / "picky"
            before, pid = config.read_bytes(), one.dragonfly.pid
            picky.write_text(
                f"#!/bin/sh\n{one.dragonfly.service} stop\n"
                f"grep -q 600s {config} && exit 1\n{one.dragonfly.service} start\n"
            )
            picky.chmod(0o755)
            scene = P2pScene(one.lab, one.dragonfly, restart=[str(picky)])

            result = scene.act(REMEDY, scene.incident())

            assert result["outcome"] == "failed" and "started once more" in result["detail"], result
            assert config.read_bytes() == before
            assert one.dragonfly.pid != pid


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("2h 30min", 9000), ("500ms", 0.5), ("3h", 10800), ("1.5h", 5400)],
)
def test_times_as_they_are_written(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "soon", "30 apples", "-30s", "30s;"])
def test_what_is_no_time(text: str) -> None:
    assert seconds_of(text) is None
