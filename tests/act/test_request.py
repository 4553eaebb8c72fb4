"""What an agent may ask for, by a process of its own or by another unit's socket, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.act.test_executor import news
from tests.cli.conftest import ROOT, Host
from watchdog.act.executor import Executor
from watchdog.act.ledger import Ledger
from watchdog.act.request import MOST_BYTES, Request, Verb, from_json
from watchdog.core.observation import ActionFinished, Outcome
from watchdog.errors import Refused
from watchdog.host.privileged import SOCKET_VARIABLE

ASKED = Request(Verb.ACT, "resume", "pw-ffffffff", "resume-00000001")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def perform(host: Host, line: bytes) -> Dict[str, Any]:
    """The answer of a process that is asked this."""
    words = ["/usr/bin/python3", "-m", "watchdog", "perform", "-c", str(host.file)]
    done = subprocess.run(words, cwd=ROOT, input=line, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


class TestARequest:
    def test_comes_back_from_json(self) -> None:
        assert from_json(ASKED.to_json()) == ASKED
        assert from_json(Request(Verb.SETTLE).to_json()) == Request(Verb.SETTLE)

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"act resume\n",
            b"[]\n",
            b'{"verb":"run"}\n',
            b'{"verb":"act","remedy":"rm"}\n',
            b'{"verb":"act","remedy":"resume","pid":1}\n',
            b'{"verb":"act","remedy":"resume","action":"../../x"}\n',
            b'{"verb":"undo","action":["a"]}\n',
            b'{"verb":"undo","action":"all"}\n',
            b'{"verb":"undo","action":"substitute_decompressor"}\n',
        ],
    )
    def test_of_another_form_is_refused(self, line: bytes) -> None:
        with pytest.raises(Refused):
            from_json(line)


class TestPerforming:
    def test_the_name_that_the_agent_gave_to_an_action_is_kept(self, host: Host) -> None:
        answer = perform(host, ASKED.to_json())

        assert (answer["action"], answer["outcome"]) == (ASKED.action, "refused")
        assert "no incident pw-ffffffff is known" in answer["detail"]

    def test_settling_and_undoing_when_there_is_nothing_is_done(self, host: Host) -> None:
        for verb in (Verb.SETTLE, Verb.UNDO_EXPIRED):
            assert perform(host, Request(verb).to_json())["outcome"] == "done"

    def test_what_is_no_request_touches_nothing(self, host: Host) -> None:
        assert perform(host, b"x" * 3 * MOST_BYTES)["outcome"] == "refused"
        assert not host.state_dir.exists()

    def test_a_wrong_configuration_refuses(self, host: Host) -> None:
        host.file.write_text("mode: obzerve\n")

        answer = perform(host, ASKED.to_json())

        assert answer["outcome"] == "refused"
        assert f"{host.file}:1" in answer["detail"]

    def test_who_says_nothing_is_not_waited_for(self, host: Host) -> None:
        words = ["/usr/bin/python3", "-m", "watchdog", "perform", "-c", str(host.file)]
        with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.wait(60) == -signal.SIGALRM


class Unit:
    """What the service manager does with a socket: for each connection a process that has it."""

    def __init__(self, path: Path, host: Host) -> None:
        self._words = ["/usr/bin/python3", "-m", "watchdog", "perform", "-c", str(host.file)]
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                channel, _ = self._listening.accept()
            except OSError:
                return
            with channel:
                subprocess.run(self._words, cwd=ROOT, stdin=channel, stdout=channel, timeout=60, check=False)

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.fixture
def remote(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    """An executor that asks the socket of another unit."""
    monkeypatch.setenv(SOCKET_VARIABLE, str(host.home / "act.sock"))
    executor = Executor(host.config)
    yield executor
    executor.close()


def ended(executor: Executor) -> ActionFinished:
    return next(one for one in news(executor, 2) if isinstance(one, ActionFinished))


class TestByASocket:
    def test_it_is_answered_as_by_a_process_of_its_own(self, host: Host, remote: Executor) -> None:
        unit = Unit(host.home / "act.sock", host)
        try:
            remote.start("resume", "pw-none")
            finished = ended(remote)
        finally:
            unit.close()

        assert finished.outcome is Outcome.REFUSED
        assert "no incident pw-none is known" in finished.detail

    def test_without_anybody_there_it_is_refused(self, host: Host, remote: Executor) -> None:
        remote.start("resume", "pw-none")

        finished = ended(remote)

        assert finished.outcome is Outcome.REFUSED
        assert "takes no requests" in finished.detail

    def test_who_takes_it_and_ends_leaves_its_effect_unknown(self, host: Host, remote: Executor) -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(host.home / "act.sock"))
            listening.listen()
            remote.start("resume", "pw-none")
            channel, _ = listening.accept()
            channel.recv(100)
            channel.close()

            assert ended(remote).outcome is Outcome.EXPIRED


class TestALedgerOfSomebodyElse:
    """The agent may write beside the ledger; one that it has forged is not believed by who acts."""

    @pytest.mark.skipif(os.geteuid() != 0, reason="files of other users are made by root")
    def test_is_refused(self, host: Host) -> None:
        assert perform(host, Request(Verb.SETTLE).to_json())["outcome"] == "done"
        forged = host.state_dir / "ledger.jsonl"
        forged.parent.mkdir(exist_ok=True)
        forged.write_text('{"format": "pull-watchdog ledger", "version": 1}\n')
        assert Ledger(host.state_dir).look().usable
        os.chown(forged, 12345, 12345)

        seen = Ledger(host.state_dir).look()

        assert not seen.usable
        assert "belongs to user 12345" in seen.detail
