"""Run by test_bind_mount.py in a mount namespace of its own, where /usr, /etc and dpkg's data are copies."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.act.scene import Scene
from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.conftest import _lab_is_possible  # noqa: F401  (a fixture)
from tests.lab.lab import Lab
from tests.lab.processes import run, wait_until
from watchdog.act.bind_mount import mount_points
from watchdog.core.causes.finding import Cause

UNPIGZ = Path("/usr/bin/unpigz")
HOOK = Path("/etc/dpkg/dpkg.cfg.d/pull-watchdog")
HOLD_DPKG_S_LOCK = (
    "import fcntl; lock = open('/var/lib/dpkg/lock', 'r+'); fcntl.lockf(lock, fcntl.LOCK_EX)\n"
    "print('held', flush=True); input()"
)


@pytest.fixture(scope="module")
def lab(_lab_is_possible: None) -> Iterator[Lab]:  # noqa: F811
    """A dockerd with the system's own unpigz and, at first, no place for a link before it."""
    with Lab() as running:
        yield running


@pytest.fixture
def scene(lab: Lab) -> Iterator[Scene]:
    places = [lab.dockerd.early, lab.dockerd.programs, Path("/usr/sbin")]
    for folder in places:
        folder.chmod(0o777)
    scene = Scene(lab, Agent(lab))
    yield scene
    scene.run("revert", "--all")
    for folder in places:
        folder.chmod(0o755)
    assert not is_mounted()


@pytest.fixture
def incident(scene: Scene) -> Iterator[str]:
    """A pull that is stopped in the system's own unpigz."""
    scene.clients.append(scene.lab.pull(images.BIG))
    wait_until(lambda: scene.lab.dockerd.decompressors, "the extraction has begun")
    pid = scene.lab.dockerd.decompressors[0]
    scene.stop(pid)
    yield scene.record(Cause.DECOMPRESSOR_STOPPED, pid, command=str(UNPIGZ))
    os.kill(pid, 9)
    scene.clients[-1].wait()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pigz package, packed again from what is installed of it."""
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "pigz"
    for name in run("dpkg", "-L", "pigz").split():
        if Path(name).is_file():
            (tree / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, tree / name[1:])
    (tree / "usr/bin/unpigz").unlink()
    os.link(tree / "usr/bin/pigz", tree / "usr/bin/unpigz")
    status = run("dpkg", "-s", "pigz").splitlines()
    (tree / "DEBIAN").mkdir()
    control = [line for line in status if not line.startswith(("Status:", "Conffiles:"))]
    (tree / "DEBIAN/control").write_text("\n".join(control) + "\n")
    run("dpkg-deb", "--build", "--root-owner-group", str(tree), str(folder / "pigz.deb"))
    return folder / "pigz.deb"


def is_mounted() -> bool:
    return str(UNPIGZ) in mount_points(os.getpid())


def substitute(scene: Scene, incident: str) -> str:
    result = scene.act("substitute_decompressor", incident)
    assert result["outcome"] == "done", result
    return str(result["detail"])


def pigz_works() -> bool:
    return run("sh", "-c", "echo works | pigz -p 2 -c | gzip -dc") == "works\n"


class TestAMount:
    def test_is_in_force_for_the_next_layer_and_undone(self, scene: Scene, incident: str) -> None:
        substitute(scene, incident)
        assert is_mounted()
        assert UNPIGZ.samefile("/usr/bin/gzip")
        assert pigz_works()
        assert scene.lab.pull(images.OTHER).wait() == 0
        scene.lab.remove(images.OTHER)

        told = scene.run("revert", "substitute_decompressor").stdout.decode()

        assert "the mount over /usr/bin/unpigz is undone" in told
        assert not is_mounted()
        assert not HOOK.exists()

    def test_lets_dpkg_replace_pigz(self, scene: Scene, incident: str, package: Path) -> None:
        substitute(scene, incident)

        run("dpkg", "-i", str(package), deadline_s=180.0)

        assert not is_mounted()
        assert pigz_works()
        assert run("sh", "-c", "echo works | pigz | unpigz") == "works\n"
        told = scene.run("revert", "substitute_decompressor").stdout.decode()
        assert "was gone already" in told
        assert not HOOK.exists()

    def test_without_the_word_to_dpkg_it_would_fail(self, scene: Scene, incident: str, package: Path) -> None:
        substitute(scene, incident)
        HOOK.unlink()

        done = subprocess.run(["dpkg", "-i", str(package)], capture_output=True, timeout=60, check=False)

        assert done.returncode != 0
        assert b"unpigz" in done.stderr

    def test_in_use_is_detached_and_its_user_goes_on(self, scene: Scene, incident: str) -> None:
        substitute(scene, incident)
        compressed = run_bytes("gzip", "-c", stdin=b"works\n")
        with subprocess.Popen([str(UNPIGZ), "-dc"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
            told = scene.run("revert", "substitute_decompressor").stdout.decode()
            assert "it was in use: detached" in told
            assert not is_mounted()

            assert user.communicate(compressed, timeout=10)[0] == b"works\n"

    def test_killed_on_the_way_is_made_once(self, scene: Scene, incident: str) -> None:
        for point in ("after_intent", "after_effect"):
            scene.act("substitute_decompressor", incident, crash=point)
        scene.act("substitute_decompressor", incident)

        assert mount_points(os.getpid()).count(str(UNPIGZ)) == 1

    def test_is_made_where_no_link_can_be_written(self, scene: Scene, incident: str) -> None:
        early = str(scene.lab.dockerd.early)
        scene.lab.dockerd.early.chmod(0o755)
        run("mount", "--bind", early, early)
        run("mount", "-o", "remount,bind,ro", early)
        try:
            substitute(scene, incident)
            assert is_mounted()
        finally:
            run("umount", early)

    def test_is_refused_over_another_mount(self, scene: Scene, incident: str) -> None:
        run("mount", "--bind", str(UNPIGZ), str(UNPIGZ))
        try:
            result = scene.act("substitute_decompressor", incident)
        finally:
            run("umount", str(UNPIGZ))

        assert result["outcome"] == "refused"
        assert "something is mounted over /usr/bin/unpigz already" in result["detail"]

    def test_is_refused_over_a_link(self, scene: Scene, incident: str) -> None:
        UNPIGZ.rename("/usr/bin/unpigz.real")
        UNPIGZ.symlink_to("unpigz.real")
        try:
            result = scene.act("substitute_decompressor", incident)
        finally:
            Path("/usr/bin/unpigz.real").rename(UNPIGZ)

        assert result["outcome"] == "refused"
        assert "a mount would land on the file behind it" in result["detail"]

    def test_is_refused_while_packages_are_installed(self, scene: Scene, incident: str) -> None:
        with dpkg_at_work() as pid:
            result = scene.act("substitute_decompressor", incident)

        assert result["outcome"] == "refused"
        assert f"(pid {pid}) is installing packages" in result["detail"]


class TestARestart:
    def test_is_refused_while_packages_are_installed(self, scene: Scene, incident: str) -> None:
        daemon = scene.lab.dockerd.pid
        with dpkg_at_work() as pid:
            result = scene.act("restart_runtime", incident)

        assert result["outcome"] == "refused"
        assert f"(pid {pid}) is installing packages" in result["detail"]
        assert scene.lab.dockerd.pid == daemon


class TestALink:
    """Before the system's own unpigz there is a directory of root's: no mount is needed."""

    def test_lets_dpkg_replace_pigz_and_stays(self, scene: Scene, incident: str, package: Path) -> None:
        scene.lab.dockerd.early.chmod(0o755)
        substitute(scene, incident)
        assert not is_mounted()

        run("dpkg", "-i", str(package), deadline_s=180.0)

        assert pigz_works()
        assert (scene.lab.dockerd.early / "unpigz").samefile("/usr/bin/gzip")

    def test_is_made_where_the_administrator_s_programs_are(self, scene: Scene, incident: str) -> None:
        Path("/usr/sbin").chmod(0o755)
        substitute(scene, incident)

        assert Path("/usr/sbin/unpigz").samefile("/usr/bin/gzip")
        assert run("sh", "-c", "echo works | pigz | /usr/sbin/unpigz -d -c") == "works\n"
        scene.run("revert", "--all")
        assert not Path("/usr/sbin/unpigz").exists()


@contextlib.contextmanager
def dpkg_at_work() -> Iterator[int]:
    """Another process that holds dpkg's lock, as a running dpkg does; its pid."""
    command = ["/usr/bin/python3", "-c", HOLD_DPKG_S_LOCK]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield holder.pid
        holder.kill()


def run_bytes(*command: str, stdin: bytes) -> bytes:
    return subprocess.run(command, input=stdin, capture_output=True, timeout=10, check=True).stdout
