"""The file system as another process sees it, and what Go's exec.LookPath finds there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.processes import wait_until
from watchdog.act.view import View, mount_namespace, view_of
from watchdog.errors import Unavailable


@pytest.fixture
def ours() -> Iterator[View]:
    with view_of(os.getpid()) as view:
        yield view


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


class TestLookPath:
    def test_the_first_directory_that_has_it_wins(self, ours: View, tmp_path: Path) -> None:
        first, second = program(tmp_path / "a/tool"), program(tmp_path / "b/tool")

        assert ours.look_path("tool", f"{tmp_path}/none:{tmp_path}/a:{tmp_path}/b") == str(first)
        assert ours.look_path("tool", f"{tmp_path}/b:{tmp_path}/a") == str(second)

    def test_what_cannot_be_executed_is_passed_over(self, ours: View, tmp_path: Path) -> None:
        program(tmp_path / "a/tool", 0o644)
        (tmp_path / "b/tool").mkdir(parents=True)
        (tmp_path / "c").mkdir()
        (tmp_path / "c/tool").symlink_to("/nowhere")
        last = program(tmp_path / "d/tool")

        folders = ":".join(f"{tmp_path}/{name}" for name in "abcd")
        assert ours.look_path("tool", folders) == str(last)

    def test_a_relative_directory_is_not_searched(self, ours: View, tmp_path: Path) -> None:
        program(tmp_path / "tool")

        assert ours.look_path("tool", f".::{os.path.relpath(tmp_path)}") is None

    def test_the_shell_agrees(self, ours: View) -> None:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
        for name in ("unpigz", "gzip", "dockerd", "no-such-program"):
            assert ours.look_path(name, path) == shutil.which(name, path=path)


class TestFiles:
    def test_are_compared_by_identity_through_links(self, ours: View, tmp_path: Path) -> None:
        file, link = program(tmp_path / "file"), tmp_path / "link"
        link.symlink_to(file)
        found, itself = ours.look(str(link)), ours.look(str(link), follow=False)

        assert found is not None
        assert found.identity == (file.stat().st_dev, file.stat().st_ino)
        assert found.path == str(file)
        assert itself is not None
        assert itself.is_link

    def test_that_are_not_there_are_none(self, ours: View, tmp_path: Path) -> None:
        file = program(tmp_path / "file")

        assert ours.look(str(tmp_path / "none")) is None
        assert ours.look(f"{file}/below") is None

    @pytest.mark.parametrize(
        ("mode", "safe"), [(0o755, True), (0o775, False), (0o757, False), (0o1777, False)]
    )
    def test_directories_that_others_can_write_to_are_told(
        self, ours: View, tmp_path: Path, mode: int, safe: bool
    ) -> None:
        tmp_path.chmod(mode)
        found = ours.look(str(tmp_path))

        assert found is not None
        assert found.is_root_only_directory is safe


class TestAnotherRoot:
    def test_links_stay_within_it(self, tmp_path: Path) -> None:
        """An absolute link means something else in a process that has changed its root."""
        inside = program(tmp_path / "usr/bin/tool")
        (tmp_path / "tool").symlink_to("/usr/bin/tool")
        for name in ("sleep", "libc.so.6", "ld-linux-x86-64.so.2"):
            copy_program(name, tmp_path)
        process = subprocess.Popen(["chroot", str(tmp_path), "/usr/bin/sleep", "60"])
        try:
            root = Path(f"/proc/{process.pid}/root")
            wait_until(lambda: os.readlink(root) == str(tmp_path), "it has changed its root")
            with view_of(process.pid) as view:
                found = view.look("/tool")
            assert found is not None
            assert found.identity == (inside.stat().st_dev, inside.stat().st_ino)
        finally:
            process.kill()
            process.wait(10)

    def test_of_a_process_that_is_gone_is_an_error(self) -> None:
        gone = subprocess.Popen(["true"])
        gone.wait(10)

        with pytest.raises(Unavailable), view_of(gone.pid):
            pass
        with pytest.raises(Unavailable):
            mount_namespace(gone.pid)


def copy_program(name: str, root: Path) -> None:
    """A program or library of the system, at its own place below another root."""
    for folder in ("/usr/bin", "/lib/x86_64-linux-gnu", "/lib64"):
        source = Path(folder) / name
        if source.exists():
            target = root / str(source)[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
