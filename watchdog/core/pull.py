"""Which pulls there are, and which of them a layer belongs to.

dockerd does not say which image a download file is for.  What can be joined:
the file's size is the layer's compressed size, a manifest in the content store
lists its layers with their sizes and the repositories that it came from, and a
client's argv names an image of such a repository.  Where the joint is not
certain all candidates are told and none is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Iterable, List, Mapping, Optional, Sequence, Tuple

from watchdog.core.observation import BlobSample, Client, ManifestSeen, ProcessKey
from watchdog.core.reference import parse_reference

if TYPE_CHECKING:  # `status` reads records and must not pay for the rules that the world reads logs by
    from watchdog.core.world import World


@dataclass(frozen=True)
class AffectedPull:
    """A pull that waits for a hung layer.

    `client` is None where only the content store knows of the pull.
    `digest` is the manifest's, None when the store does not have it.
    `layer_bytes`: the compressed size of all layers of the image.
    """

    image: str
    digest: Optional[str] = None
    client: Optional[ProcessKey] = None
    connected: bool = False
    platform: Optional[str] = None
    layer_bytes: Optional[int] = None


@dataclass(frozen=True)
class Attribution:
    """The pulls that a layer may belong to; `certain` when there is no other."""

    pulls: Tuple[AffectedPull, ...] = ()
    certain: bool = False

    @property
    def image(self) -> Optional[str]:
        """The image to name: the only one, or the first of those that share the layer for certain."""
        return self.pulls[0].image if self.pulls and self.certain else None

    @property
    def images(self) -> Tuple[str, ...]:
        """Every candidate, without repetition."""
        return tuple(dict.fromkeys(pull.image for pull in self.pulls))


def pull_clients(world: World, runtime: str) -> List[Client]:
    """The clients of that runtime that pull an image whose name is known."""
    scan = world.clients.get(runtime)
    return [one for one in scan.clients if one.verb == "pull" and one.image] if scan else []


def attribute(world: World, runtime: str, blob: Optional[BlobSample]) -> Attribution:
    """The pulls that wait for the layer in that download file."""
    clients = pull_clients(world, runtime)
    if blob is None:
        return Attribution()
    holders = _manifests_with(world, runtime, blob.size_bytes)
    joined = [_join(one, holders) for one in clients]
    sharing = [pull for pull in joined if pull is not None]
    if not sharing:
        sharing = _of_the_only_image(clients, holders)
    if sharing:
        return Attribution(tuple(sharing), certain=True)
    pulls = (*(_plain(one) for one in clients), *_unnamed(holders, world.asked_for))
    return Attribution(pulls, certain=len(clients) + len(holders) == 1)


def waiting_for(world: World, runtime: str, images: Sequence[str]) -> Attribution:
    """The clients of these images; all that pull where the images are not known."""
    scan = world.clients.get(runtime)
    named = [one for one in scan.clients if one.image in images] if scan and images else []
    pulls = tuple(_plain(one) for one in (named or pull_clients(world, runtime)))
    unseen = tuple(AffectedPull(one) for one in images) if not named else ()
    found = unseen or pulls
    return Attribution(found, certain=bool(images) or len({one.image for one in found}) == 1)


def _manifests_with(world: World, runtime: str, size_bytes: int) -> List[ManifestSeen]:
    return [
        manifest
        for manifest in reversed(list(world.manifests.values()))
        if manifest.runtime == runtime and any(layer.size_bytes == size_bytes for layer in manifest.layers)
    ]


def _join(client: Client, holders: Iterable[ManifestSeen]) -> Optional[AffectedPull]:
    """The client's pull if a manifest of its repository holds the layer; the newest manifest counts."""
    name = parse_reference(client.image or "")
    if name is None:
        return None
    for manifest in holders:
        if name.digest not in (None, manifest.digest):
            continue
        if name.repository in manifest.repositories:
            return _plain(client, manifest)
    return None


def _of_the_only_image(clients: Sequence[Client], holders: Sequence[ManifestSeen]) -> List[AffectedPull]:
    """In docker 20.10.5 a manifest does not say where it came from: one can only be the one image pulled."""
    if len(holders) != 1 or holders[0].repositories or len({one.image for one in clients}) != 1:
        return []
    name = parse_reference(clients[0].image or "")
    if name is None or name.digest not in (None, holders[0].digest):
        return []
    return [_plain(one, holders[0]) for one in clients]


def _plain(client: Client, manifest: Optional[ManifestSeen] = None) -> AffectedPull:
    return AffectedPull(
        image=client.image or "",
        digest=manifest.digest if manifest else None,
        client=client.key,
        connected=bool(client.connected),
        platform=client.platform,
        layer_bytes=sum(layer.size_bytes for layer in manifest.layers) if manifest else None,
    )


def _unnamed(holders: Iterable[ManifestSeen], asked_for: Mapping[str, str]) -> Iterable[AffectedPull]:
    """Pulls that only the content store knows, by the name that the log tells or by digest."""
    for manifest in holders:
        size = sum(layer.size_bytes for layer in manifest.layers)
        for repository in manifest.repositories:
            name = asked_for.get(repository, f"{repository}@{manifest.digest}")
            yield AffectedPull(name, manifest.digest, layer_bytes=size)


def by_digest(pull: AffectedPull) -> str:
    """REPOSITORY@DIGEST of the pull's image, or "" where the digest is not known."""
    name = parse_reference(pull.image)
    return f"{name.repository}@{pull.digest}" if name is not None and pull.digest else ""
