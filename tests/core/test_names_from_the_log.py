"""A pull over the API has no argv; in debug mode the runtime's log tells its name."""

from __future__ import annotations

import pytest

from watchdog.core.observation import BlobSample, Frame, Layer, LogLine, ManifestSeen
from watchdog.core.pull import attribute
from watchdog.core.reference import asked_for
from watchdog.core.world import World

DIGEST = "sha256:" + "a" * 64
CALL = 'time="2026-11-21T06:00:00Z" level=debug msg="Calling POST /v1.41/images/create?{}"'


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("fromImage=localhost%3A5000%2Fbig&tag=1", "localhost:5000/big:1"),
        ("fromImage=alpine&tag=latest", "docker.io/library/alpine:latest"),
        (f"fromImage=host.example%2Fa&tag={DIGEST}".replace(":", "%3A"), f"host.example/a@{DIGEST}"),
    ],
)
def test_the_image_that_was_asked_for(query: str, name: str) -> None:
    assert str(asked_for(CALL.format(query))) == name


@pytest.mark.parametrize(
    "line",
    [
        CALL.format("fromSrc=-&repo=imported"),
        'level=debug msg="Calling GET /v1.41/images/json"',
        "images/create",
        CALL.format("fromImage=..%2F..&tag=1"),
    ],
)
def test_other_lines_name_nothing(line: str) -> None:
    assert asked_for(line) is None


def test_a_pull_that_nobodys_argv_names_has_its_name_from_the_log() -> None:
    manifest = ManifestSeen("docker", DIGEST, ("localhost:5000/big",), (Layer("sha256:1", 100),))
    world = World()
    blob = BlobSample("GetImageBlob1", 100, 50)
    world.apply(Frame(1, (manifest,)))
    assert attribute(world, "docker", blob).image == f"localhost:5000/big@{DIGEST}"

    world.apply(Frame(2, (LogLine("docker", CALL.format("fromImage=localhost%3A5000%2Fbig&tag=1")),)))

    assert attribute(world, "docker", blob).image == "localhost:5000/big:1"
