"""Which images are being pulled right now, as containerd's content store has it.

dockerd puts a pull's manifest into the store before the first layer comes, and
holds it there by a temporary lease as long as it handles that pull, also when
the client has given up.  The manifest lists the layers with their exact sizes;
a label names the repository.  The tag stands nowhere.

Law: this reads a disk, the one that may be stuck.  Call it only on a thread
that may stall.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from watchdog.core.observation import Layer
from watchdog.errors import Unavailable
from watchdog.host import bolt

NAMESPACE = "moby"
_METADATA = "io.containerd.metadata.v1.bolt/meta.db"
_BLOBS = "io.containerd.content.v1.content/blobs"
_SOURCE = "containerd.io/distribution.source."
_TEMPORARY = "moby.lease/temporary"
_MOST_MANIFEST_BYTES = 4 << 20  # the limit of the registry protocol
_DIGEST = re.compile(r"([a-z0-9]+):([0-9a-f]{32,})")


@dataclass(frozen=True)
class Download:
    """A pull that the runtime handles now.

    `lease` tells two pulls of one image apart.  `repositories`: "HOST/PATH" of
    each place that this manifest came from.
    """

    lease: str
    started_wall_ns: int
    digest: str
    repositories: Tuple[str, ...]
    layers: Tuple[Layer, ...]


@dataclass(frozen=True)
class _Lease:
    name: str
    started_wall_ns: int
    digest: str
    repositories: Tuple[str, ...]


def stores(data_root: str) -> List[Path]:
    """Where the store of a dockerd may be: with a containerd of its own, and with the system's."""
    return [Path(data_root) / "containerd" / "daemon", Path("/var/lib/containerd")]


def downloads(store: Path) -> List[Download]:
    """The pulls under way, the oldest first.  Raises Unavailable."""
    leases = bolt.view(str(store / _METADATA), _temporary_leases)
    found = []
    for lease in sorted(leases, key=lambda one: (one.started_wall_ns, one.name)):
        layers = _layers(store, lease.digest)
        if layers:
            found.append(
                Download(lease.name, lease.started_wall_ns, lease.digest, lease.repositories, layers)
            )
    return found


def under_way(data_root: str, since_wall_ns: int) -> List[Download]:
    """The pulls of a daemon that was started then, from whichever store it uses, the oldest first.

    What an earlier daemon was killed over stays in the store for a day.  Raises Unavailable.
    """
    found: List[Download] = []
    errors: List[Unavailable] = []
    places = stores(data_root)
    for place in places:
        try:
            found += [one for one in downloads(place) if one.started_wall_ns >= since_wall_ns]
        except Unavailable as error:
            errors.append(error)
    if len(errors) == len(places):
        raise errors[0]
    return sorted(found, key=lambda one: one.started_wall_ns)


def parse_layers(manifest: bytes) -> Tuple[Layer, ...]:
    """The layers of an image's manifest; none of a list of manifests or anything else."""
    try:
        document = json.loads(manifest)
        return tuple(_layer(one) for one in document["layers"])
    except (ValueError, TypeError, KeyError):
        return ()


def parse_time(text: str) -> Optional[int]:
    """Nanoseconds since the epoch of "2026-11-21T05:57:50.086964653Z"."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    if match is None:
        return None
    seconds = calendar.timegm(time.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000_000 + int((match.group(2) or "").ljust(9, "0"))


def _temporary_leases(top: bolt.Bucket) -> List[_Lease]:
    leases = top.bucket("v1", NAMESPACE, "leases")
    if leases is None:
        return []
    found: List[Tuple[str, int, List[str]]] = []
    for name, lease in leases.buckets():
        labels, content = lease.bucket("labels"), lease.bucket("content")
        started = labels.values().get(_TEMPORARY) if labels is not None else None
        started_wall_ns = parse_time(started.decode("ascii", "replace")) if started is not None else None
        if content is not None and started_wall_ns is not None:
            found.append((name, started_wall_ns, list(content.values())))
    sources = _sources(top, {digest for _, _, digests in found for digest in digests})
    return [
        _Lease(name, started_wall_ns, digest, sources.get(digest, ()))
        for name, started_wall_ns, digests in found
        for digest in digests
    ]


def _sources(top: bolt.Bucket, digests: Set[str]) -> Dict[str, Tuple[str, ...]]:
    """The repositories of these blobs, from their labels."""
    blobs = top.bucket("v1", NAMESPACE, "content", "blob")
    if blobs is None or not digests:
        return {}
    return {digest: tuple(_repositories(blob)) for digest, blob in blobs.buckets() if digest in digests}


def _repositories(blob: bolt.Bucket) -> Iterable[str]:
    """`containerd.io/distribution.source.HOST` = "PATH,PATH" -> HOST/PATH."""
    labels = blob.bucket("labels")
    for name, value in sorted(labels.values().items()) if labels is not None else ():
        if name.startswith(_SOURCE):
            for path in value.decode("utf-8", "replace").split(","):
                yield f"{name[len(_SOURCE) :]}/{path}"


def _layers(store: Path, digest: str) -> Tuple[Layer, ...]:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        return ()
    try:
        with (store / _BLOBS / match.group(1) / match.group(2)).open("rb") as file:
            return parse_layers(file.read(_MOST_MANIFEST_BYTES))
    except FileNotFoundError:
        return ()  # the pull has just ended
    except OSError as error:
        raise Unavailable(f"the manifest {digest} in {store} cannot be read: {error.strerror}") from error


def _layer(one: Any) -> Layer:
    return Layer(str(one["digest"]), int(one["size"]))
