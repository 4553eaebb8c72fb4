"""The output of a container, from the file that a real dockerd keeps it in."""

from __future__ import annotations

from typing import Any, Iterator, List

import pytest

from tests.lab.containers import talking_container
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from watchdog.core.symptom import SymptomKind, classify
from watchdog.errors import Unavailable
from watchdog.sense.container_log import ContainerLog

WORDS = 'level=error msg="unexpected EOF"'

pytestmark = pytest.mark.lab


@pytest.fixture
def log(lab: Lab) -> Iterator[Any]:
    def follow(name: str, cursor: str = "") -> ContainerLog:
        return ContainerLog(name, lambda: [str(lab.dockerd.socket)], cursor)

    yield follow


def test_what_it_says_is_read_and_means_what_it_means(lab: Lab, log: Any) -> None:
    with talking_container(lab, WORDS) as name:
        follower = log(name)
        (line,) = next_lines(follower)[:1]
        assert "unexpected EOF" in line
        assert classify(line).kind is SymptomKind.NET_RESET


def test_a_container_made_anew_under_its_name_is_followed_on(lab: Lab, log: Any) -> None:
    with talking_container(lab, WORDS) as name:
        follower = log(name)
        next_lines(follower)
        cursor = follower.cursor()
    with talking_container(lab, "level=error msg=broken-pipe") as name:
        assert any("broken-pipe" in line for line in next_lines(log(name, cursor)))


def test_a_container_that_is_not_there_is_said(lab: Lab, log: Any) -> None:
    with pytest.raises(Unavailable, match="there is no container nobody"):
        log("nobody").read()


def test_one_that_logs_elsewhere_is_said_with_what_to_do(lab: Lab, log: Any) -> None:
    said = pytest.raises(Unavailable, match="logs by none: name the file or the journal's unit")
    with talking_container(lab, WORDS, "--log-driver", "none") as name, said:
        log(name).read()


def next_lines(follower: ContainerLog) -> List[str]:
    return wait_until(follower.read, "the container says something", 20.0)
