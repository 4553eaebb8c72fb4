"""host/bolt: a database as containerd and dockerd write it: whole, torn, damaged, growing."""

from __future__ import annotations

import json
import socket
import struct
import threading
import zlib
from pathlib import Path
from typing import Any, Dict, List

import pytest

from tests.lab.conftest import _lab_is_possible, lab  # noqa: F401  (fixtures)
from tests.lab.lab import Lab
from watchdog.errors import Unavailable
from watchdog.host import bolt

# meta.db of containerd 1.6.20 after the pull of localhost:50747/small:1.
RECORDED = Path(__file__).parents[1] / "fixtures" / "content_store" / "meta.db.z"
PAGE = 4096
DIGEST = "sha256:085754c373da448d39fc296c2d40d413367f6d9e9905b20a19e9df0b1f2074aa"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "meta.db"
    path.write_bytes(zlib.decompress(RECORDED.read_bytes()))
    return path


def tree(bucket: bolt.Bucket) -> Dict[str, Any]:
    return {
        key.decode(): tree(value) if isinstance(value, bolt.Bucket) else value
        for key, value in bucket.items()
    }


def overwrite(path: Path, offset: int, text: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(text)


def test_everything_that_was_written_is_found(database: Path) -> None:
    top = bolt.view(str(database), tree)["v1"]
    assert top["version"] == b"\x06"
    assert list(top["moby"]["content"]["blob"]) == [DIGEST]
    assert top["moby"]["content"]["blob"][DIGEST]["labels"] == {
        "containerd.io/distribution.source.localhost:50747": b"small"
    }


def test_buckets_are_found_by_their_path(database: Path) -> None:
    def look(top: bolt.Bucket) -> List[object]:
        labels = top.bucket("v1", "moby", "content", "blob", DIGEST, "labels")
        assert labels is not None
        return [labels.values(), top.bucket("v1", "k8s.io"), top.bucket("v1", "version")]

    named, missing, no_bucket = bolt.view(str(database), look)
    assert named == {"containerd.io/distribution.source.localhost:50747": b"small"}
    assert missing is None and no_bucket is None


@pytest.mark.parametrize("page", [0, 1])
def test_one_damaged_meta_page_is_made_up_for_by_the_other(database: Path, page: int) -> None:
    overwrite(database, page * PAGE + 32, b"\xff" * 8)  # its checksum does not fit any more
    assert list(bolt.view(str(database), tree)["v1"]["moby"]["content"]["blob"]) == [DIGEST]


def test_a_database_without_a_valid_meta_page_is_unavailable(database: Path) -> None:
    for page in (0, 1):
        overwrite(database, page * PAGE + 32, b"\xff" * 8)
    with pytest.raises(Unavailable, match="neither meta page is valid"):
        bolt.view(str(database), tree)


def test_damaged_pages_are_unavailable_and_never_a_crash(database: Path) -> None:
    whole = database.read_bytes()
    expected = bolt.view(str(database), tree)
    for offset in range(2 * PAGE, 19 * PAGE, 97):
        overwrite(database, offset, b"\xff\xff\xff\x7f")
        try:
            bolt.view(str(database), tree)
        except Unavailable as error:
            assert "damaged" in str(error)
        except (UnicodeDecodeError, RecursionError):
            pass  # of this test's own tree(): a damaged key, a bucket within itself
        database.write_bytes(whole)
    assert bolt.view(str(database), tree) == expected


def test_a_branch_that_leads_to_itself_ends(database: Path) -> None:
    for page in range(2, 19):
        overwrite(
            database, page * PAGE, struct.pack("=QHHI", page, 1, 1, 0) + struct.pack("=IIQ", 16, 1, page)
        )
    with pytest.raises(Unavailable, match="damaged"):
        bolt.view(str(database), tree)


@pytest.mark.parametrize("text", [b"", b"short", b"\0" * 8192, b"x" * 10_000])
def test_what_is_no_database_is_unavailable(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(Unavailable, match="no bbolt file"):
        bolt.view(str(path), tree)


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        bolt.view(str(tmp_path / "none"), tree)


def create_volume(path: str) -> str:
    head = b"POST /volumes/create HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(head + b"{}")
        with connection.makefile("rb") as answer:
            return str(json.loads(answer.read().partition(b"\r\n\r\n")[2])["Name"])


@pytest.mark.lab
def test_a_database_that_grows_while_it_is_read_is_always_whole(lab: Lab) -> None:  # noqa: F811
    path = str(lab.dockerd.data_root / "volumes" / "metadata.db")
    count = 150  # enough for branch pages
    made: List[str] = []

    def make() -> None:
        for _ in range(count):
            made.append(create_volume(str(lab.dockerd.socket)))

    maker = threading.Thread(target=make)
    maker.start()
    looks = 0
    while maker.is_alive():
        before = len(made)
        try:
            seen = bolt.view(path, tree)
        except Unavailable as error:
            assert "changed each time" in str(error)
            continue
        looks += 1
        assert before <= len(seen.get("volumes", {})) <= len(made) + 1
    maker.join()
    assert looks > 0
    assert sorted(bolt.view(path, tree)["volumes"]) == sorted(made)
