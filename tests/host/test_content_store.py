"""host/content_store: the pulls under way, as a real dockerd has them in its store."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.host.conftest import wait_until
from tests.lab.conftest import _lab_is_possible, lab  # noqa: F401  (fixtures)
from tests.lab.faults import Fault, Form
from tests.lab.images import SMALL, TWIN_A, TWIN_B
from tests.lab.lab import Lab
from tests.lab.processes import send
from watchdog.core.observation import Layer
from watchdog.errors import Unavailable
from watchdog.host import content_store

MANIFEST = {
    "schemaVersion": 2,
    "config": {"digest": "sha256:" + "c" * 64, "size": 225},
    "layers": [
        {"digest": "sha256:" + "a" * 64, "size": 300027402},
        {"digest": "sha256:" + "b" * 64, "size": 32},
    ],
}


def test_layers_are_parsed() -> None:
    assert content_store.parse_layers(json.dumps(MANIFEST).encode()) == (
        Layer("sha256:" + "a" * 64, 300027402),
        Layer("sha256:" + "b" * 64, 32),
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'{"manifests": []}',
        b'{"layers": [{"digest": "x"}]}',
        b'{"layers": 5}',
        b'{"layers": [5]}',
        b"\xff",
    ],
)
def test_what_is_no_manifest_of_an_image_has_no_layers(text: bytes) -> None:
    assert content_store.parse_layers(text) == ()


def test_times_are_parsed() -> None:
    assert content_store.parse_time("1970-01-01T00:00:01.5Z") == 1_500_000_000
    assert content_store.parse_time("2026-11-21T05:57:50.086964653Z") == 1795240670_086964653
    assert content_store.parse_time("2026-11-21T05:57:50Z") == 1795240670 * 10**9
    assert content_store.parse_time("yesterday") is None


def test_a_host_without_a_store_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        content_store.downloads(tmp_path)


@pytest.mark.lab
def test_a_pull_is_there_while_it_lasts_and_not_before_or_after(lab: Lab) -> None:  # noqa: F811
    store = content_store.stores(str(lab.dockerd.data_root))[0]
    assert content_store.downloads(store) == []
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.STOP, after_bytes=100_000)
    begun_ns = time.time_ns()
    pull = lab.pull(SMALL)
    wait_until(lambda: lab.dockerd.decompressors and lab.dockerd.stands_still(0.2))
    (download,) = content_store.downloads(store)
    assert begun_ns <= download.started_wall_ns <= time.time_ns()
    assert download.repositories == (lab.registry.reference(SMALL).rpartition(":")[0],)
    assert [blob.size_bytes for blob in lab.dockerd.blobs] == [layer.size_bytes for layer in download.layers]
    send(lab.dockerd.decompressors[0], signal.SIGCONT)
    assert pull.wait() == 0
    wait_until(lambda: content_store.downloads(store) == [])


@pytest.mark.lab
def test_two_images_on_one_layer_are_two_pulls(lab: Lab) -> None:  # noqa: F811
    store = content_store.stores(str(lab.dockerd.data_root))[0]
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.PAUSE, after_bytes=100_000)
    for image in (TWIN_A, TWIN_B):
        lab.pull(image)
    wait_until(lambda: len(content_store.downloads(store)) == 2)
    first, second = content_store.downloads(store)
    assert first.started_wall_ns <= second.started_wall_ns
    assert {one.repositories[0].rpartition("/")[2] for one in (first, second)} == {"twin-a", "twin-b"}
    assert first.layers[0] == second.layers[0] and first.layers[1] != second.layers[1]
