"""The lab cases that are quick enough for every day, each once.  `./dev lab` runs all, several times."""

from __future__ import annotations

import pytest

from tests.lab.cases import Case
from tests.lab.cases.every import CASES

EVERY_DAY = (
    "unpigz stopped, a binary",
    "unpigz spinning, behind a wrapper script",
    "unpigz blocked for ever, a link to pigz",
    "docker-untar stopped",
    "dockerd itself stopped",
    "a client gave up, a second pull waits",
    "two images on one hung base layer",
    "two pulls, one of them hung",
    "a hung load and build beside a pull",
    "cgroup v2 freezer on unpigz",
    "unpigz stopped again after our SIGCONT",
    "a frozen disk below dockerd and our state",
    "observe: unpigz blocked for ever, a binary",
    "containers running, live-restore off",
    "substitution in place by a link, then revert",
    "tcp://",
    "a disk that is too small",
    "story: a push to Harbor, its database down",
    "the peer goes silent after 20 MB of a 200 MB layer",
    "a registry that ignores Range, with resets",
    "Dragonfly 1: its supernode refuses",
    "Dragonfly 2, the Rust client: a preheat times out",
    "a mirror that refuses from the beginning",
)


@pytest.mark.lab
@pytest.mark.parametrize("case", [one for one in CASES if one.name in EVERY_DAY], ids=lambda case: case.name)
def test_case(case: Case) -> None:
    case.run()


def test_every_day_names_cases_that_exist() -> None:
    assert set(EVERY_DAY) <= {case.name for case in CASES}
