"""sense/roles: what a child of the runtime is for, and what only looks like it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

import pytest

from tests.host.conftest import Spawn, spawn, wait_until  # noqa: F401  (fixture)
from watchdog.host import proc
from watchdog.sense.roles import Kind, Role, Roles, role_of

TARGET = "/var/lib/docker/overlay2/4f/diff"


@pytest.mark.parametrize(
    ("comm", "argv", "role"),
    [
        ("unpigz", ["/usr/bin/unpigz", "-d", "-c"], Role(Kind.DECOMPRESSOR, "/usr/bin/unpigz")),
        ("unpigz", ["/bin/sh", "/opt/unpigz", "-d", "-c"], Role(Kind.DECOMPRESSOR, "/opt/unpigz")),
        ("unpigz", ["unpigz", "-d", "-c"], Role(Kind.DECOMPRESSOR, "unpigz")),
        ("fast", ["/usr/bin/unpigz", "-d", "-c"], Role(Kind.DECOMPRESSOR, "/usr/bin/unpigz")),
        ("xz", ["xz", "-d", "-c", "-q"], Role(Kind.DECOMPRESSOR, "xz")),
        ("igzip", ["/usr/bin/igzip", "-d", "-c"], Role(Kind.DECOMPRESSOR, "/usr/bin/igzip")),
        ("exe", ["docker-untar", "/", TARGET], Role(Kind.UNTAR, TARGET)),
        ("exe", ["docker-applyLayer", TARGET], Role(Kind.UNTAR, TARGET)),
        ("exe", ["set-ipv6", "/var/run/docker/netns/1"], Role(Kind.OTHER)),
        ("docker-proxy", ["/usr/bin/docker-proxy", "-proto", "tcp"], Role(Kind.OTHER)),
        ("runc", ["runc", "--version"], Role(Kind.OTHER)),
        ("sh", ["sh", "-c", "docker-untar"], Role(Kind.OTHER)),
        ("less", ["less", "/tmp/unpigz"], Role(Kind.OTHER)),
        ("unpigzd", ["/opt/unpigzd"], Role(Kind.OTHER)),
    ],
)  # fmt: skip
def test_roles_are_told_from_name_and_arguments(comm: str, argv: Sequence[str], role: Role) -> None:
    assert role_of(comm, argv) == role


def test_a_role_is_found_out_once_and_stays_while_the_program_becomes_another(
    tmp_path: Path,
    spawn: Spawn,  # noqa: F811
) -> None:
    script = tmp_path / "unpigz"
    script.write_text("#!/bin/sh\nread line; exec sleep 60\n")
    script.chmod(0o755)
    child = spawn(str(script), stdin=subprocess.PIPE)
    assert child.stdin is not None
    key, roles = proc.identify(child.pid), Roles()
    with proc.Process(child.pid) as process:
        wait_until(lambda: process.stat().comm == "unpigz")
        assert roles.of(key, "unpigz") == Role(Kind.DECOMPRESSOR, str(script))
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait_until(lambda: process.stat().comm == "sleep")
    assert roles.of(key, "sleep") == Role(Kind.DECOMPRESSOR, str(script))
    roles.keep_only([])
    assert roles.of(key, "sleep") == Role(Kind.OTHER)


def test_a_child_that_becomes_a_decompressor_is_seen_as_one(tmp_path: Path, spawn: Spawn) -> None:  # noqa: F811
    (tmp_path / "unpigz").symlink_to("/bin/sleep")
    child = spawn("sh", "-c", f"read line; exec {tmp_path}/unpigz 60", stdin=subprocess.PIPE)
    assert child.stdin is not None
    key, roles = proc.identify(child.pid), Roles()
    with proc.Process(child.pid) as process:
        wait_until(lambda: process.stat().comm == "sh")
        assert roles.of(key, "sh") == Role(Kind.OTHER)
        child.stdin.write(b"\n")
        child.stdin.flush()
        wait_until(lambda: process.stat().comm == "unpigz")
    assert roles.of(key, "unpigz") == Role(Kind.DECOMPRESSOR, f"{tmp_path}/unpigz")


def test_the_dead_have_no_role(spawn: Spawn) -> None:  # noqa: F811
    child = spawn("sleep", "60")
    key = proc.identify(child.pid)
    child.kill()
    child.wait()
    assert Roles().of(key, "sleep") == Role(Kind.OTHER)
