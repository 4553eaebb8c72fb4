"""Where the probes are looked for, and how bcc's one text is joined."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.bpf.engines import PROBES, probes_in
from watchdog.errors import Unavailable
from watchdog.host.bpf import places


def test_without_an_object_every_place_is_named(tmp_path: Path) -> None:
    with probes_in(tmp_path), pytest.raises(Unavailable) as error:
        places.prebuilt_object()
    assert str(error.value) == f"no prebuilt object (pull_watchdog.bpf.o) in {tmp_path}"


def test_places_of_a_checkout_and_of_a_package() -> None:
    checkout = PROBES.parent
    assert places.directories() == [
        checkout / "build" / "probes",
        checkout / "probes",
        Path("/usr/lib/pull-watchdog/probes"),
    ]


def test_the_override_is_used_instead(tmp_path: Path) -> None:
    (tmp_path / "pull_watchdog.bpf.o").write_bytes(b"")
    with probes_in(tmp_path):
        assert places.prebuilt_object() == tmp_path / "pull_watchdog.bpf.o"


def test_each_source_is_in_the_joined_text_once() -> None:
    with probes_in(PROBES):
        text = places.joined_source()
    for name in ("events.h", "compat.h", "process_life.bpf.c", "tcp_life.bpf.c"):
        assert text.count(f'#line 1 "{name}"') == 1
    assert '#include "' not in text
    assert text.index("struct process_event {") < text.index("PROBE(task, task_newtask)")


def test_a_source_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "pull_watchdog.bpf.c").write_text('#include "gone.h"\n', encoding="ascii")
    with probes_in(tmp_path), pytest.raises(Unavailable, match="gone.h cannot be read"):
        places.joined_source()
