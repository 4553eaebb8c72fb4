"""What other programs print and are called with, as it was seen."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.act import environment_file, package_manager
from watchdog.act.restart_conditions import microseconds, rivals, start_limit
from watchdog.act.sessions import verb_of
from watchdog.errors import Refused

HOLD_LOCK = (
    "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX)\n"
    "print('held', flush=True); input()"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1min", 60_000_000),
        ("10s", 10_000_000),
        ("1min 30s", 90_000_000),
        ("2h 5ms", 7_200_005_000),
        ("0", 0),
        ("infinity", 0),
        ("", None),
        ("soon", None),
        ("5 parsecs", None),
    ],
)
def test_time_spans_of_systemctl_show(text: str, expected: int | None) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["docker", "build", "-t", "x", "."], "build"),
        (["/usr/bin/docker", "-H", "unix:///run/docker.sock", "exec", "-it", "x", "sh"], "exec"),
        (["docker", "--host=unix:///x", "--debug", "attach", "x"], "attach"),
        (["docker", "--context", "build", "ps"], "ps"),
        (["docker", "pull", "build"], "pull"),
        (["docker"], ""),
        (["python3", "exec"], ""),
        ([], ""),
    ],
)
def test_the_verb_of_a_docker_command_line(words: list[str], verb: str) -> None:
    assert verb_of(words) == verb


@pytest.mark.parametrize(
    ("started_us", "reasons"),
    [
        ("39000000", []),
        ("41000000", ["docker.service was started 59 s ago: its start limit might be used up"]),
        ("", ["the start limit of docker.service cannot be read"]),
    ],
)
def test_a_start_is_free_for_certain_after_a_whole_interval(started_us: str, reasons: list[str]) -> None:
    shown = {
        "StartLimitIntervalUSec": "1min",
        "StartLimitBurst": "3",
        "ActiveEnterTimestampMonotonic": started_us,
    }

    assert start_limit("docker.service", shown, now_us=100_000_000) == reasons
    if started_us:
        assert start_limit("docker.service", {**shown, "StartLimitBurst": "0"}, now_us=100_000_000) == []


class TestRivals:
    """Known by their name, and where that is not enough by a word of their arguments."""

    def test_one_that_runs_is_told(self, tmp_path: Path) -> None:
        with program_named(tmp_path / "pw-rival", "60") as pid:
            assert rivals({"pw-rival": ""}) == [f"pw-rival (pid {pid}) may restart the runtime too"]
            assert rivals({"pw-rival": "60"}) != []
            assert rivals({"pw-rival": "--repair"}) == []

    def test_none_of_another_name(self, tmp_path: Path) -> None:
        with program_named(tmp_path / "pw-friend", "60"):
            assert rivals({"pw-rival": ""}) == []


class TestPackageManagers:
    def test_are_known_by_the_lock_that_they_hold(self, tmp_path: Path) -> None:
        file = tmp_path / "lock"
        file.touch()
        command = [sys.executable, "-c", HOLD_LOCK, str(file)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            said = package_manager.running([str(tmp_path / "none"), str(file)])
            holder.kill()

        assert said is not None
        assert said.endswith(f"(pid {holder.pid})")

    def test_are_not_there_without_it(self, tmp_path: Path) -> None:
        file = tmp_path / "lock"
        file.touch()

        assert package_manager.running([str(file), str(tmp_path / "none")]) is None


@contextlib.contextmanager
def program_named(path: Path, *arguments: str) -> Iterator[int]:
    """A sleep under another name; its pid."""
    path.write_bytes(Path("/bin/sleep").read_bytes())
    path.chmod(0o755)
    with subprocess.Popen([str(path), *arguments]) as process:
        yield process.pid
        process.kill()


class TestTheEnvironmentFile:
    def test_takes_our_line_and_gives_it_back(self, tmp_path: Path) -> None:
        path = tmp_path / "docker.env"
        environment_file.check(path)
        environment_file.write(path, environment_file.LINES[0])

        assert path.read_text() == "MOBY_DISABLE_PIGZ=true\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert environment_file.take_back(path, was_there=False) == f"{path} is removed"
        assert not path.exists()

    def test_no_other_line_is_ever_written(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="is not among the lines"):
            environment_file.write(tmp_path / "docker.env", "LD_PRELOAD=/tmp/x.so\n")
        assert list(tmp_path.iterdir()) == []

    def test_an_operator_s_file_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "docker.env"
        path.write_text("HTTP_PROXY=x\n")

        with pytest.raises(Refused, match="holds something else"):
            environment_file.check(path)
        assert "holds nothing of ours" in environment_file.take_back(path, was_there=True)
        assert path.read_text() == "HTTP_PROXY=x\n"

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("")
        (tmp_path / "docker.env").symlink_to("target")

        with pytest.raises(Refused, match="cannot be read"):
            environment_file.check(tmp_path / "docker.env")

    def test_a_missing_directory_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(Refused, match="cannot be used"):
            environment_file.check(tmp_path / "none/docker.env")
