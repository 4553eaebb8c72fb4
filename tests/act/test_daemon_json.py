"""daemon.json of a real dockerd: edited, put in force by a reload, seen there, and put back; or refused."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.act.scene import Scene, sample
from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.lab import Lab
from tests.lab.processes import has_ended, run, wait_until
from watchdog.act import daemon_json, daemon_setting, reload
from watchdog.act.daemon_json import BACKUP, Change
from watchdog.act.identity import Subject
from watchdog.act.remedy import Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings, settings_for
from watchdog.config import load
from watchdog.core.observation import Outcome
from watchdog.errors import Refused, Unavailable

pytestmark = pytest.mark.lab

KEY = "registry-mirrors"
OURS = """{
\t"labels" : ["a=b"],
\t"registry-mirrors": [
\t\t"http://127.0.0.1:1",
\t\t"http://127.0.0.1:2/"
\t],

\t"insecure-registries": ["10.1.2.3/8", "registry.example:5000"]
}
"""
LEFT = '["http://127.0.0.1:2/"]'


@pytest.fixture
def lab() -> Iterator[Lab]:
    """dockerd with a configuration of its own."""
    lab = Lab()
    lab.dockerd.config.write_text(OURS)
    with lab:
        yield lab


def settings(scene: Scene) -> ActSettings:
    return settings_for(load(scene.agent.config), "lab")


@contextmanager
def daemon_of(scene: Scene) -> Iterator[Subject]:
    with held_runtime(settings(scene), sample(scene.lab.dockerd.pid)) as daemon:
        yield daemon


def planned(scene: Scene, key: str = KEY, value: str = LEFT) -> Change:
    with daemon_of(scene) as daemon:
        return daemon_setting.plan(settings(scene), daemon, key, lambda before: value)


def make(scene: Scene, change: Change) -> None:
    with daemon_of(scene) as daemon:
        daemon_setting.make(settings(scene), daemon, change)


def mirrors(scene: Scene) -> list[str]:
    return scene.lab.dockerd.api.mirrors()


def by_hand(scene: Scene, text: str) -> None:
    """An operator edits the file and does not reload."""
    time.sleep(0.05)  # the clock of a process' start goes in steps of 10 ms
    scene.lab.dockerd.config.write_text(text)


def reload_by_hand(scene: Scene) -> None:
    before = scene.lab.dockerd.log_text().count("Reloaded configuration")
    os.kill(scene.lab.dockerd.pid, signal.SIGHUP)
    wait_until(
        lambda: scene.lab.dockerd.log_text().count("Reloaded configuration") > before, "dockerd has reloaded"
    )


def files(scene: Scene) -> dict[str, str]:
    """Everything beside daemon.json that could have been left behind, with it."""
    return {one.name: one.read_text() for one in scene.lab.root.glob("*daemon.json*") if one.is_file()}


class TestMaking:
    def test_one_key_changes_and_comes_into_force(self, scene: Scene) -> None:
        before = scene.lab.dockerd.pid
        make(scene, planned(scene))

        assert mirrors(scene) == ["http://127.0.0.1:2/"]
        assert scene.lab.dockerd.pid == before
        begin, end = OURS.index("[\n"), OURS.index("],\n\n") + 1
        assert scene.lab.dockerd.config.read_text() == OURS[:begin] + LEFT + OURS[end:]
        assert files(scene)[f"daemon.json{BACKUP}"] == OURS

    def test_it_is_put_back_to_the_byte(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)
        undone = daemon_setting.undo(settings(scene), change)

        assert undone.outcome is Outcome.DONE
        assert mirrors(scene) == ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]
        assert files(scene) == {"daemon.json": OURS}

    def test_twice_is_harmless(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)
        daemon_setting.undo(settings(scene), change)

        assert daemon_setting.undo(settings(scene), change).detail == f"{KEY} is as it was"
        assert files(scene) == {"daemon.json": OURS}

    def test_a_key_that_was_not_there_goes_again(self, scene: Scene) -> None:
        change = planned(scene, "max-concurrent-downloads", "1")
        make(scene, change)
        reloads = scene.lab.dockerd.log_text()
        daemon_setting.undo(settings(scene), change)

        assert '\\"max-concurrent-downloads\\":1' in reloads
        assert '\\"max-concurrent-downloads\\":3' in scene.lab.dockerd.log_text()[len(reloads) :]
        assert scene.lab.dockerd.config.read_text() == OURS

    def test_two_at_once_go_in_any_order(self, scene: Scene) -> None:
        first = planned(scene)
        make(scene, first)
        second = planned(scene, "max-concurrent-downloads", "1")
        make(scene, second)

        daemon_setting.undo(settings(scene), first)
        assert scene.lab.dockerd.config.read_text() == OURS.replace(
            '"registry.example:5000"]', '"registry.example:5000"],\n\t"max-concurrent-downloads": 1'
        )
        daemon_setting.undo(settings(scene), second)
        assert files(scene) == {"daemon.json": OURS}

    def test_a_link_stays_one(self, scene: Scene) -> None:
        real = scene.lab.root / "elsewhere" / "docker.json"
        real.parent.mkdir()
        scene.lab.dockerd.config.rename(real)
        scene.lab.dockerd.config.symlink_to(real)
        scene.lab.dockerd.restart()

        make(scene, planned(scene))

        assert scene.lab.dockerd.config.is_symlink()
        assert json.loads(real.read_text())[KEY] == ["http://127.0.0.1:2/"]

    def test_owner_and_mode_stay(self, scene: Scene) -> None:
        config = scene.lab.dockerd.config
        config.chmod(0o640)
        os.chown(config, 1234, 2345)
        reload_by_hand(scene)

        make(scene, planned(scene))

        found = config.stat()
        assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o640, 1234, 2345)

    def test_what_has_no_effect_is_put_back(self, scene: Scene) -> None:
        with pytest.raises(Unavailable, match="did not take registry-mirrors"):
            make(scene, planned(scene, value='["ftp://127.0.0.1:1/"]'))

        assert files(scene) == {"daemon.json": OURS}
        assert mirrors(scene) == ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]
        assert not has_ended(scene.lab.dockerd.pid)


class TestUndoing:
    def test_somebody_elses_newer_value_stays(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)
        by_hand(scene, '{"registry-mirrors": []}')

        assert "is left so" in daemon_setting.undo(settings(scene), change).detail
        assert files(scene)["daemon.json"] == '{"registry-mirrors": []}'

    def test_it_does_not_put_anothers_edit_in_force(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)
        edited = scene.lab.dockerd.config.read_text().replace("a=b", "c=d")
        by_hand(scene, edited)

        with pytest.raises(Unavailable, match="not in force yet: .*labels"):
            daemon_setting.undo(settings(scene), change)

        assert scene.lab.dockerd.config.read_text() == OURS.replace("a=b", "c=d")
        assert scene.lab.dockerd.api.get("/info")["Labels"] == ["a=b"]
        reload_by_hand(scene)
        assert daemon_setting.undo(settings(scene), change).outcome is Outcome.DONE
        assert mirrors(scene) == ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]

    def test_without_a_runtime(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)
        scene.lab.dockerd.stop()

        assert "does not run" in daemon_setting.undo(settings(scene), change).detail
        assert files(scene) == {"daemon.json": OURS}

    def test_after_a_restart_of_the_runtime(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)
        scene.lab.dockerd.restart()

        assert daemon_setting.undo(settings(scene), change).outcome is Outcome.DONE
        assert mirrors(scene) == ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]


class TestCutShort:
    def test_before_the_file(self, scene: Scene) -> None:
        change = planned(scene)

        assert trace(scene, change) is Trace.NONE

    def test_between_the_file_and_the_reload(self, scene: Scene) -> None:
        change = planned(scene)
        with daemon_of(scene) as daemon:
            reload.remember(settings(scene), daemon, daemon_json.read(Path(change.path)), change)
        daemon_json.write(change, None)

        assert trace(scene, change) is Trace.NONE
        assert files(scene) == {"daemon.json": OURS}
        make(scene, planned(scene))

    def test_after_the_reload(self, scene: Scene) -> None:
        change = planned(scene)
        make(scene, change)

        assert trace(scene, change) is Trace.MADE

    def test_a_setting_that_only_a_reload_tells(self, scene: Scene) -> None:
        change = planned(scene, "max-concurrent-downloads", "1")
        make(scene, change)

        assert trace(scene, change) is Trace.MADE

    def test_somebody_has_been_there_since(self, scene: Scene) -> None:
        change = planned(scene)
        by_hand(scene, "{}")

        assert trace(scene, change) is Trace.UNKNOWN


def trace(scene: Scene, change: Change) -> Trace:
    return daemon_setting.trace(settings(scene), sample(scene.lab.dockerd.pid), change)


class TestRefusals:
    @pytest.mark.parametrize(
        ("edited", "reason"),
        [
            ("{oops", "is not valid, so it is left alone"),
            ('["a list"]', "is no JSON object"),
            (OURS.replace('"labels"', '"debug": true, "debug": false, "labels"'), "stands in it twice"),
            (OURS.replace("a=b", "c=d"), r"edits that are not in force \(labels\)"),
            (OURS.replace("10.1.2.3/8", "11.0.0.0/8"), r"not in force \(insecure-registries\)"),
            (OURS.replace(":2/", ":3"), r"not in force \(registry-mirrors\)"),
            (
                OURS.replace('{\n\t"l', '{\n\t"max-concurrent-downloads": 2,\n\t"l'),
                "no reload since is known",
            ),
            (OURS.replace('{\n\t"l', '{\n\t"authorization-plugins": ["x"],\n\t"l'), "authorization plugin"),
        ],
    )
    def test_of_a_file_in_that_state(self, scene: Scene, edited: str, reason: str) -> None:
        by_hand(scene, edited)

        with pytest.raises(Refused, match=reason):
            planned(scene)
        assert files(scene) == {"daemon.json": edited}

    def test_a_reload_by_hand_ends_the_refusal(self, scene: Scene) -> None:
        by_hand(scene, OURS.replace('{\n\t"l', '{\n\t"max-concurrent-downloads": 2,\n\t"l'))
        reload_by_hand(scene)

        make(scene, planned(scene))

        assert mirrors(scene) == ["http://127.0.0.1:2/"]

    def test_somebody_edits_it_after_the_look(self, scene: Scene) -> None:
        change = planned(scene)
        edited = OURS.replace("http://127.0.0.1:1", "http://127.0.0.1:3")
        by_hand(scene, edited)

        with pytest.raises(Refused):
            make(scene, change)
        assert files(scene) == {"daemon.json": edited}

    def test_of_a_file_that_is_gone(self, scene: Scene) -> None:
        scene.lab.dockerd.config.unlink()

        with pytest.raises(Refused, match="daemon.json is gone"):
            planned(scene)

    def test_of_a_read_only_place(self, scene: Scene) -> None:
        folder = str(scene.lab.root)
        run("mount", "--bind", folder, folder)
        try:
            run("mount", "-o", "remount,ro,bind", folder)
            with pytest.raises(Refused, match="it is read-only here"):
                planned(scene)
        finally:
            run("umount", "-l", folder)
        assert files(scene) == {"daemon.json": OURS}

    def test_of_a_file_that_nobody_may_change(self, scene: Scene) -> None:
        config = str(scene.lab.dockerd.config)
        run("chattr", "+i", config)
        try:
            with pytest.raises(Refused, match="cannot be written"):
                planned(scene)
        finally:
            run("chattr", "-i", config)
        assert files(scene) == {"daemon.json": OURS}

    @pytest.mark.parametrize(
        ("flags", "reason"),
        [
            (
                ["--registry-mirror=http://127.0.0.1:9"],
                "would not take registry-mirrors from its file as well",
            ),
            (["--max-concurrent-downloads", "7"], "a reload would reset to its default"),
        ],
    )
    def test_of_a_flag(self, flags: list[str], reason: str) -> None:
        with Lab(flags) as lab:
            scene = Scene(lab, Agent(lab))
            with pytest.raises(Refused, match=reason):
                planned(scene)
            assert lab.dockerd.config.read_text() == "{}"


def test_a_content_that_was_checked_is_known_again(scene: Scene) -> None:
    """Also when dockerd has forgotten the event of the reload: 256 others push it out."""
    change = planned(scene)
    make(scene, change)
    assert scene.lab.pull(images.SMALL).wait() == 0
    for _ in range(260):
        reference = scene.lab.registry.reference(images.SMALL)
        scene.lab.dockerd.api.call("POST", f"/images/{reference}/tag?repo=again&tag=1")
    with daemon_of(scene) as daemon:
        assert reload._reloads(settings(scene), 0.0) == []
        assert reload.in_force(settings(scene), daemon, change)

    assert daemon_setting.undo(settings(scene), change).outcome is Outcome.DONE
    assert mirrors(scene) == ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]


def test_the_flags_that_the_text_names_are_dockerds(scene: Scene) -> None:
    told = run("dockerd", "--help")

    assert all(f"{flag} " in told for flag in daemon_json._FLAGS.values())
    assert Path(scene.lab.dockerd.config).exists()
