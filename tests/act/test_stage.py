"""Which children of a runtime are a decompressing stage; here this process is the runtime."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.act.scene import sample as seen
from watchdog.act import runtime
from watchdog.act.identity import held
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.act.stage import held_stage
from watchdog.config import RuntimeConfig
from watchdog.core.observation import ProcessKey, ProcessSample
from watchdog.errors import Refused
from watchdog.host import proc


@contextmanager
def child(stdin: int, stdout: int) -> Iterator[ProcessSample]:
    """A child that waits, with these as its input and output."""
    process = subprocess.Popen(["sleep", "60"], stdin=stdin, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        yield seen(process.pid)
    finally:
        process.kill()
        process.communicate()


def members(*stage: ProcessSample) -> list[ProcessKey]:
    """The stage that an incident with these members leads to."""
    with held(proc.identify(os.getpid())) as daemon, held_stage(daemon, stage, stage[0].key) as found:
        return [one.key for one in found.members]


def refusal(*stage: ProcessSample) -> str:
    with pytest.raises(Refused) as caught:
        members(*stage)
    return str(caught.value)


def test_a_child_between_two_pipes_of_ours_is_one() -> None:
    with child(subprocess.PIPE, subprocess.PIPE) as one:
        assert members(one) == [one.key]


@pytest.mark.parametrize(
    ("stdin", "stdout"),
    [(subprocess.DEVNULL, subprocess.PIPE), (subprocess.PIPE, subprocess.DEVNULL)],
)
def test_a_child_with_one_pipe_only_is_none(stdin: int, stdout: int) -> None:
    """As containerd below a dockerd whose own output is a pipe."""
    with child(stdin, stdout) as one:
        assert "does not read from one pipe and write to another" in refusal(one)


def test_a_child_between_pipes_of_others_is_none() -> None:
    ends = [*os.pipe(), *os.pipe()]
    with child(ends[0], ends[3]) as one:
        for end in ends:
            os.close(end)
        assert "has no pipe to the runtime" in refusal(one)


def test_a_child_that_runs_another_file_than_the_one_seen_is_none() -> None:
    with child(subprocess.PIPE, subprocess.PIPE) as one:
        assert "runs" in refusal(replace(one, exe=seen(os.getpid()).exe))


class TestTheRuntime:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Iterator[ActSettings]:
        """A runtime's socket, on which this process listens."""
        path = tmp_path / "docker.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            yield ActSettings(tmp_path, tmp_path, RuntimeConfig(socket=f"unix://{path}"))

    def test_is_who_listens(self, settings: ActSettings) -> None:
        with held_runtime(settings, seen(os.getpid())) as daemon:
            assert daemon.key.pid == os.getpid()

    def test_is_nobody_else(self, settings: ActSettings) -> None:
        pipe = subprocess.PIPE
        with child(pipe, pipe) as other, pytest.raises(Refused) as caught, held_runtime(settings, other):
            pass
        assert "does not listen" in str(caught.value)

    def test_is_never_the_first_process_which_may_hold_its_socket(
        self, settings: ActSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runtime, "_INIT", os.getpid())
        with pytest.raises(Refused, match="first process"), held_runtime(settings, seen(os.getpid())):
            pass
