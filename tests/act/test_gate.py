"""Who has forbidden to act, and for whom that holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from watchdog.act import gate
from watchdog.act.gate import Who
from watchdog.act.settings import ActSettings
from watchdog.config import RuntimeConfig
from watchdog.core.policy import Mode, Remedy
from watchdog.errors import Refused

NOW_NS = 1_700_000_000 * 10**9


@pytest.fixture
def settings(tmp_path: Path) -> ActSettings:
    return ActSettings(
        state_dir=tmp_path,
        run_dir=tmp_path / "run",
        runtime=RuntimeConfig(),
        mode=Mode.ENFORCE,
        inhibit_files=(tmp_path / "inhibit",),
    )


def refusal(settings: ActSettings, remedy: Remedy = Remedy.RESUME, who: Who = Who.AGENT) -> str:
    with pytest.raises(Refused) as caught:
        gate.check(settings, remedy, who, NOW_NS)
    return str(caught.value)


def pause(settings: ActSettings, until_ns: int) -> None:
    text = json.dumps({"until_wall_ns": until_ns, "reason": "moving disks", "owner": "kim"})
    (settings.state_dir / "pause.json").write_text(text)


def test_in_enforce_mode_nothing_is_in_the_way(settings: ActSettings) -> None:
    gate.check(settings, Remedy.RESUME, Who.AGENT, NOW_NS)
    gate.check(settings, Remedy.RESUME, Who.PERSON, NOW_NS)


def test_observe_mode_binds_the_agent_only(settings: ActSettings) -> None:
    observing = replace(settings, mode=Mode.OBSERVE)

    assert refusal(observing) == "the mode is observe"
    gate.check(observing, Remedy.RESUME, Who.PERSON, NOW_NS)


def test_a_remedy_that_is_off_is_off_for_the_agent_only(settings: ActSettings) -> None:
    assert refusal(settings, Remedy.RESTART_RUNTIME) == "restart_runtime is switched off"
    gate.check(settings, Remedy.RESTART_RUNTIME, Who.PERSON, NOW_NS)


@pytest.mark.parametrize("who", list(Who))
def test_the_inhibit_file_stops_everybody(settings: ActSettings, who: Who) -> None:
    settings.inhibit_files[0].touch()

    assert "all action is inhibited: remove" in refusal(settings, who=who)


def test_a_dangling_link_named_inhibit_inhibits_too(settings: ActSettings) -> None:
    settings.inhibit_files[0].symlink_to("/nowhere")

    assert "inhibited" in refusal(settings)


@pytest.mark.parametrize("who", list(Who))
def test_a_pause_stops_everybody_until_it_ends(settings: ActSettings, who: Who) -> None:
    pause(settings, NOW_NS + 1)
    said = refusal(settings, who=who)

    assert re.fullmatch(r"kim has paused all action until 2023-11-14T22:13:20\+00:00: moving disks", said)


def test_a_pause_that_is_over_stops_nobody(settings: ActSettings) -> None:
    pause(settings, NOW_NS)

    gate.check(settings, Remedy.RESUME, Who.AGENT, NOW_NS)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"until_wall_ns": "soon"}'])
def test_a_pause_that_cannot_be_read_stops_everybody(settings: ActSettings, text: str) -> None:
    (settings.state_dir / "pause.json").write_text(text)

    assert "cannot be read" in refusal(settings, who=Who.PERSON)
