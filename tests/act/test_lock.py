"""One action at a time, and who holds the lock."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from watchdog.act import lock
from watchdog.act.own_file import make_folder
from watchdog.errors import Refused, Unavailable

ROOT = Path(__file__).resolve().parents[2]
HOLD = (
    "import sys, time; from pathlib import Path; from watchdog.act import lock\n"
    "with lock.hold(Path(sys.argv[1]), 'repull', 'repull-1', 0.0): print('held', flush=True); time.sleep(60)"
)


def take(run_dir: Path, wait_s: float = 0.0) -> None:
    with lock.hold(run_dir, "resume", "resume-1", wait_s):
        pass


def holder(run_dir: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run_dir)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_who_holds_it_is_told(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        try:
            with pytest.raises(Refused, match=rf"repull \(process {other.pid}, action repull-1\)"):
                take(tmp_path, 0.2)
        finally:
            other.kill()


def test_it_ends_with_its_holder_however_that_ends(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait(10)

        with lock.hold(tmp_path, "resume", "resume-1", 0.2):
            pass


def test_it_can_be_given_up_before_the_end(tmp_path: Path) -> None:
    with lock.hold(tmp_path, "repull", "repull-1", 0.0) as held:
        held.release()
        with lock.hold(tmp_path, "resume", "resume-1", 0.0):
            pass
        held.release()


def test_no_child_inherits_it(tmp_path: Path) -> None:
    with lock.hold(tmp_path, "resume", "resume-1", 0.0):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with lock.hold(tmp_path, "resume", "resume-2", 0.0):
            pass
    finally:
        child.kill()
        child.wait(10)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unavailable, match="cannot be opened"):
        take(tmp_path / "file" / "run")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    """Who can write to RUN_DIR could have any file emptied otherwise."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)

    with pytest.raises(Unavailable, match="cannot be opened"):
        take(tmp_path)
    assert victim.read_text() == "precious"


def test_another_name_of_another_file_is_not_taken_for_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.link(victim, tmp_path / "lock")

    with pytest.raises(Refused, match="is no plain file of ours"):
        take(tmp_path)
    assert victim.read_text() == "precious"


def test_one_that_another_user_has_made_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    os.chown(tmp_path / "lock", 65534, 65534)

    with pytest.raises(Refused, match="belongs to user 65534"):
        take(tmp_path)


class TestFolder:
    """The directory beside RUN_DIR."""

    def test_is_ours_alone_and_may_be_there_already(self, tmp_path: Path) -> None:
        make_folder(tmp_path / "run-act")
        make_folder(tmp_path / "run-act")

        assert (tmp_path / "run-act").stat().st_mode & 0o777 == 0o755

    def test_is_refused_where_others_can_write(self, tmp_path: Path) -> None:
        folder = tmp_path / "run-act"
        folder.mkdir()
        folder.chmod(0o775)
        with pytest.raises(Refused, match="root alone"):
            make_folder(folder)

    def test_is_refused_where_it_is_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "run-act").symlink_to(tmp_path)
        with pytest.raises(Refused, match="root alone"):
            make_folder(tmp_path / "run-act")
