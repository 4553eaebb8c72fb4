"""Images for the lab's registry, made without any container runtime.

A layer is a gzip'd tar of base64 text from seeded random bytes: it compresses to
75 %, as real layers of programs do in the middle, and it is the same on every
machine.  Finished layers are kept in the project's .cache folder and made once.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import io
import json
import os
import platform
import random
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "lab"
MB = 1_000_000
RECIPE = 1  # part of the cached files' names: raise it when the bytes of a layer change
FILE_RAW_BYTES = 3 << 20  # 4 MiB of text
DEFLATED_RATIO = 0.7525 * 4 / 3  # bytes of gzip for one random byte

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Layer:
    """A recipe: two layers with the same seed and size are the same blob.  Size is compressed bytes."""

    seed: int
    size_bytes: int


@dataclass(frozen=True)
class Image:
    """A recipe of an image: its repository, its layers from the base up, and its tag."""

    repository: str
    layers: tuple[Layer, ...]
    tag: str = "1"


@dataclass(frozen=True)
class Blob:
    """Finished bytes in the cache.  `diff_id` is the digest of a layer's tar before compression."""

    path: Path
    digest: str
    size_bytes: int
    diff_id: str = ""


BASE = Layer(10, 100 * MB)
SMALL = Image("small", (Layer(1, 20 * MB),))
OTHER = Image("other", (Layer(2, 20 * MB),))  # shares nothing with SMALL
BIG = Image("big", (Layer(3, 300 * MB),))
HUGE = Image("huge", (Layer(4, 1000 * MB),))
MULTI = Image("multi", tuple(Layer(20 + n, 30 * MB) for n in range(4)))
TWIN_A = Image("twin-a", (BASE, Layer(11, 5 * MB)))
TWIN_B = Image("twin-b", (BASE, Layer(12, 5 * MB)))


@dataclass(frozen=True)
class BuiltImage:
    """An image as blobs: what a registry stores and what an archive holds."""

    recipe: Image
    manifest: Blob
    config: Blob
    layers: tuple[Blob, ...]

    @property
    def digest(self) -> str:
        return self.manifest.digest


def build(image: Image) -> BuiltImage:
    """Make an image, or take it from the cache.  1 GB takes about 15 s the first time."""
    layers = tuple(layer_blob(layer) for layer in image.layers)
    config = _json_blob(_config(layers))
    return BuiltImage(image, _json_blob(_manifest(config, layers)), config, layers)


def layer_blob(layer: Layer) -> Blob:
    """The finished layer; made under a lock, so that several test runs share one."""
    path = CACHE / f"layer{RECIPE}-{layer.seed}-{layer.size_bytes}.tar.gz"
    note = path.with_suffix(".json")
    with cache_lock():
        if not note.exists():
            note.write_text(json.dumps(_make_layer(layer, path)))
    digests = json.loads(note.read_text())
    return Blob(path, digests["digest"], path.stat().st_size, digests["diff_id"])


def write_archive(image: BuiltImage, path: Path) -> None:
    """Write what `docker load` reads, gzip'd as a whole: the layers are decompressed by unpigz too."""
    entries = [{"Config": "config.json", "RepoTags": [f"{image.recipe.repository}:loaded"]}]
    entries[0]["Layers"] = [f"{blob.diff_id[7:]}/layer.tar" for blob in image.layers]
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        for blob, name in zip(image.layers, entries[0]["Layers"]):
            archive.add(blob.path, name)
        archive.add(image.config.path, "config.json")
        content = json.dumps(entries).encode()
        archive.addfile(_entry("manifest.json", len(content)), io.BytesIO(content))


@contextlib.contextmanager
def cache_lock() -> Iterator[None]:
    """Held while something is put into the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Deflating:
    """A file to write a tar into: compresses it and takes the digests before and after."""

    def __init__(self, sink: BinaryIO) -> None:
        self.sink = sink
        self.plain = hashlib.sha256()
        self.compressed = hashlib.sha256()
        # Base64 has no repetitions to find, so Huffman codes alone give the same size in a third of the time.
        self.gzip = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)

    def write(self, chunk: bytes) -> int:
        self.plain.update(chunk)
        self._emit(self.gzip.compress(chunk))
        return len(chunk)

    def finish(self) -> dict[str, str]:
        self._emit(self.gzip.flush())
        return {
            "digest": f"sha256:{self.compressed.hexdigest()}",
            "diff_id": f"sha256:{self.plain.hexdigest()}",
        }

    def _emit(self, chunk: bytes) -> None:
        self.compressed.update(chunk)
        self.sink.write(chunk)


def _make_layer(layer: Layer, path: Path) -> dict[str, str]:
    """Write the layer's file and return its digests."""
    source = random.Random(layer.seed)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as sink:
        deflating = _Deflating(sink)
        with tarfile.open(fileobj=deflating, mode="w|", format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
            remaining = int(layer.size_bytes / DEFLATED_RATIO)
            for number in range(-(-remaining // FILE_RAW_BYTES)):
                text = base64.b64encode(source.randbytes(min(FILE_RAW_BYTES, remaining)))
                remaining -= FILE_RAW_BYTES
                archive.addfile(_entry(f"data/{layer.seed}/{number:04d}.txt", len(text)), io.BytesIO(text))
        digests = deflating.finish()
    unfinished.rename(path)
    return digests


def _entry(name: str, size_bytes: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size_bytes
    entry.mode = 0o644
    return entry


def _json_blob(content: object) -> Blob:
    encoded = json.dumps(content, sort_keys=True).encode()
    digest = hashlib.sha256(encoded).hexdigest()
    path = CACHE / f"{digest}.blob"
    with cache_lock():
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_bytes(encoded)
        unfinished.rename(path)
    return Blob(path, f"sha256:{digest}", len(encoded))


def _config(layers: tuple[Blob, ...]) -> dict[str, object]:
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Cmd": ["/true"]},
        "history": [{"created_by": "lab"} for _ in layers],
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }


def _manifest(config: Blob, layers: tuple[Blob, ...]) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, config),
        "layers": [_descriptor(LAYER_TYPE, layer) for layer in layers],
    }


def _descriptor(media_type: str, blob: Blob) -> dict[str, object]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size_bytes}
