"""Image references: as the CLI takes them, and refused where it refuses them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.reference import parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost", "docker.io/library/localhost:latest"),
        ("localhost:5000/big:1", "localhost:5000/big:1"),
        ("registry:5000/a/b/c", "registry:5000/a/b/c:latest"),
        ("Registry/app", "Registry/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}"),
        (f"app:1@{DIGEST}", f"docker.io/library/app:1@{DIGEST}"),
        ("x--y/z_a/b__c.d", "docker.io/x--y/z_a/b__c.d:latest"),
    ],
)
def test_a_name_is_completed_as_the_cli_does(text, full):
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app:",
        "app:é",
        "app:1\n",
        "a b/c",
        "a b.c/d",
        "-.x/app",
        "a:x/app",
        "a..b/app",
        "team/App",
        "http://registry/app",
        "/app",
        "app/",
        "a/../b",
        "app@",
        "app@sha256:abc",
        "app@" + "sha256:" + "a" * 32,
        "app@" + DIGEST.upper(),
        "app@md5:" + "a" * 64,
        "a" * 64,
        "x" * 300,
        "registry.example/" + "x" * 250,
    ],
)
def test_what_the_cli_refuses_is_no_reference(text):
    assert parse_reference(text) is None


@pytest.mark.parametrize("text", ["a" * 63, "a" * 64 + ":1", "team/" + "a" * 64, "x" * 237])
def test_what_almost_looks_refused_is_taken(text):
    assert parse_reference(text) is not None


def test_a_repository_has_neither_tag_nor_digest():
    reference = parse_reference(f"localhost:5000/a/b:1@{DIGEST}")

    assert reference.repository == "localhost:5000/a/b"
    assert (reference.tag, reference.digest) == ("1", DIGEST)


@given(st.text(alphabet="aB1.:/@-_ é[]\n" + "".join(sorted(set("sha256latest"))), max_size=40))
def test_a_full_name_means_what_its_short_form_meant(text):
    reference = parse_reference(text)

    if reference is not None:
        assert parse_reference(str(reference)) == reference
