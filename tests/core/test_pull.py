"""Which pulls wait for a layer: named where it is certain, all candidates where it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.machine import BIG, MIB, Extraction
from tests.core.scene import Scene
from watchdog.core.pull import AffectedPull, Attribution, attribute, by_digest

SIZE = 460 * MIB
OTHER = "localhost:5000/other:1"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def attribution(scene: Scene, one: Extraction) -> Attribution:
    """The pulls of that layer, as the engine's world knows them now."""
    scene.tick()
    return attribute(scene.engine.world, scene.runtime, one.blob)


def test_a_client_whose_manifest_has_the_layer_is_certain(scene):
    found = attribution(scene, scene.pull())

    assert found.certain
    assert found.image == BIG
    assert found.pulls == (
        AffectedPull(BIG, scene.manifests[0].digest, scene.clients[0].key, True, None, SIZE),
    )


def test_two_clients_on_one_layer_are_both_affected(scene):
    one = scene.pull()
    second = scene.client(BIG)

    found = attribution(scene, one)

    assert found.certain
    assert [pull.client for pull in found.pulls] == [scene.clients[0].key, second.key]
    assert found.images == (BIG,)


def test_two_images_that_share_a_base_layer_are_both_affected(scene):
    one = scene.pull()
    digest = scene.manifest(OTHER, SIZE, 3 * MIB)
    scene.client(OTHER)

    found = attribution(scene, one)

    assert found.certain
    assert found.images == (BIG, OTHER)
    assert found.pulls[1].digest == digest
    assert found.pulls[1].layer_bytes == SIZE + 3 * MIB


def unlabelled(scene: Scene) -> None:
    """Manifests as docker 20.10.5 keeps them: without where they came from."""
    news = [one for one in scene.news if one not in scene.manifests]
    scene.manifests[:] = [replace(one, repositories=()) for one in scene.manifests]
    scene.news[:] = [*news, *scene.manifests]


def test_a_manifest_of_nowhere_is_of_the_only_image_that_is_pulled(scene):
    one = scene.pull()
    second = scene.client(BIG)
    unlabelled(scene)

    found = attribution(scene, one)

    assert found.certain
    assert [(pull.client, pull.digest) for pull in found.pulls] == [
        (scene.clients[0].key, scene.manifests[0].digest),
        (second.key, scene.manifests[0].digest),
    ]


def test_of_two_images_it_may_be_either(scene):
    one = scene.pull()
    scene.client(OTHER)
    unlabelled(scene)

    found = attribution(scene, one)

    assert not found.certain
    assert [(pull.image, pull.digest) for pull in found.pulls] == [(BIG, None), (OTHER, None)]


def test_of_two_such_manifests_it_may_be_either(scene):
    one = scene.pull()
    scene.manifest(OTHER, SIZE, 3 * MIB)
    unlabelled(scene)

    found = attribution(scene, one)

    assert [pull.digest for pull in found.pulls] == [None]


def test_a_pull_by_another_digest_is_not_of_it(scene):
    one = scene.pull()
    scene.clients[:] = [replace(scene.clients[0], image=f"localhost:5000/big@sha256:{'9' * 64}")]
    unlabelled(scene)

    assert [pull.digest for pull in attribution(scene, one).pulls] == [None]


def test_a_pull_without_that_layer_is_not_affected(scene):
    one = scene.pull()
    scene.manifest(OTHER, 5 * MIB)
    scene.client(OTHER)

    assert attribution(scene, one).images == (BIG,)


def test_without_manifests_one_client_is_certain_and_has_no_digest(scene):
    found = attribution(scene, scene.pull(manifest=False))

    assert (found.certain, found.image) == (True, BIG)
    assert found.pulls[0].digest is None


def test_without_manifests_two_clients_are_candidates(scene):
    one = scene.pull(manifest=False)
    scene.client(OTHER)

    found = attribution(scene, one)

    assert (found.certain, found.image) == (False, None)
    assert found.images == (BIG, OTHER)


def test_a_client_of_another_repository_than_the_holders_is_a_candidate_only(scene):
    """The layer is of an image that nobody's argv names: an API user's, perhaps."""
    one = scene.pull(client=False)
    scene.client(OTHER)

    found = attribution(scene, one)

    assert not found.certain
    assert found.images == (OTHER, f"localhost:5000/big@{scene.manifests[0].digest}")
    assert [pull.connected for pull in found.pulls] == [True, False]


def test_an_api_user_without_a_known_image_is_named_from_the_manifest(scene):
    one = scene.pull(client=False)
    scene.client(image=None)

    found = attribution(scene, one)

    assert found.certain
    assert found.image == f"localhost:5000/big@{scene.manifests[0].digest}"
    assert (found.pulls[0].client, found.pulls[0].connected) == (None, False)


def test_two_manifests_with_a_layer_of_that_size_are_candidates(scene):
    one = scene.pull(client=False)
    scene.manifest(OTHER, SIZE)

    found = attribution(scene, one)

    assert not found.certain
    assert len(found.images) == 2


def test_nobody_and_nothing_known_is_nobody(scene):
    assert attribution(scene, scene.pull(client=False, manifest=False)) == Attribution()


def test_without_a_blob_there_is_no_pull(scene):
    scene.pull()
    one = scene.load()

    assert attribution(scene, one) == Attribution()


@pytest.mark.parametrize("verb", ["push", "build", "load", "other"])
def test_who_does_not_pull_is_not_affected(scene, verb):
    one = scene.pull()
    scene.client(BIG, verb=verb)

    assert len(attribution(scene, one).pulls) == 1


def test_of_two_versions_of_a_tag_the_newest_manifest_counts(scene):
    scene.manifest(BIG, SIZE)
    one = scene.pull()

    assert attribution(scene, one).pulls[0].digest == scene.manifests[1].digest


def test_a_pull_by_digest_is_of_that_manifest_alone(scene):
    wanted = scene.manifest(BIG, SIZE)
    newer = scene.manifest(BIG, SIZE)
    scene.client(f"localhost:5000/big@{wanted}")
    one = scene.extract(BIG, SIZE)

    found = attribution(scene, one)

    assert wanted != newer
    assert [pull.digest for pull in found.pulls] == [wanted]


def test_an_unknown_connection_does_not_count_as_one(scene):
    one = scene.pull(client=False)
    scene.client(BIG, connected=None)

    assert [pull.connected for pull in attribution(scene, one).pulls] == [False]


def test_manifests_of_another_runtime_do_not_count(scene):
    one = scene.pull(manifest=False)
    scene.runtime = "second"
    scene.manifest(BIG, SIZE)
    scene.runtime = "docker"

    assert attribution(scene, one).pulls[0].digest is None


def test_the_name_to_look_for_is_by_digest():
    digest = "sha256:" + "a" * 64

    assert by_digest(AffectedPull("busybox:1", digest)) == f"docker.io/library/busybox@{digest}"
    assert by_digest(AffectedPull("busybox:1")) == ""
    assert by_digest(AffectedPull("Not/A Name", digest)) == ""
