"""A journald of our own: the real one, with a /run that nobody else sees."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Iterator, Mapping, Optional

import pytest

from tests.host.conftest import wait_until

PROGRAM = Path("/lib/systemd/systemd-journald")
START = f"""
mount --make-rslave / && mount -t tmpfs none /run && mkdir -p /run/log/journal /run/systemd/journald.conf.d
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\n' > /run/systemd/journald.conf.d/test.conf
exec {PROGRAM}
"""
# Says what it is given, and lives until it is told to end: journald looks up who has spoken.
SPEAK = """
import socket, sys
kind, path, *messages = sys.argv[1:]
mouth = socket.socket(socket.AF_UNIX, getattr(socket, kind))
mouth.connect(path)
for message in messages:
    mouth.send(message.encode("utf-8", "surrogateescape"))
print("said", flush=True)
sys.stdin.read()
"""


class Journald:
    """A running journald.  `directory` holds its files, seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._run = Path(f"/proc/{process.pid}/root/run")
        self.directory = str(self._run / "log" / "journal")
        wait_until(lambda: (self._run / "systemd/journal/stdout").exists())
        wait_until(lambda: list(Path(self.directory).glob("*/system.journal")))

    def unit_says(self, unit: str, *lines: str) -> None:
        """Write lines as systemd has a unit's standard output written.

        journald believes the unit's name of a process that is in no unit itself.
        """
        head = f"dockerd\n{unit}\n6\n0\n0\n0\n0\n"
        text = "".join(line + "\n" for line in lines)
        self._speak("SOCK_STREAM", "stdout", [head, text], groups_of_units())

    def somebody_says(self, fields: Mapping[str, str], group: Path) -> None:
        """Send an entry by the native protocol, from a process in that control group."""
        text = "".join(f"{name}={value}\n" for name, value in fields.items())
        self._speak("SOCK_DGRAM", "socket", [text], group)

    def rotate(self) -> None:
        files = len(self._files())
        self._process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(self._files()) > files)

    def _files(self) -> list[Path]:
        return list(Path(self.directory).glob("*/*.journal"))

    def _speak(self, kind: str, name: str, messages: list[str], group: Optional[Path] = None) -> None:
        enter = 'test -z "$0" || echo $$ > "$0/cgroup.procs"; exec "$@"'
        program = [
            "/usr/bin/python3",
            "-c",
            SPEAK,
            kind,
            str(self._run / "systemd/journal" / name),
            *messages,
        ]
        argv = ["sh", "-c", enter, str(group or ""), *program]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as speaker:
            assert speaker.stdout is not None and speaker.stdout.readline() == b"said\n"
            self._sync()

    def _sync(self) -> None:
        """Wait until everything that was sent is in the files."""
        synced = self._run / "systemd/journal/synced"
        before = synced.stat().st_mtime_ns if synced.exists() else 0
        self._process.send_signal(signal.SIGRTMIN + 1)
        wait_until(lambda: synced.exists() and synced.stat().st_mtime_ns > before)


def groups_of_units() -> Optional[Path]:
    """The root of the control groups that systemd names units by, if they are mounted."""
    names = ("unified", "systemd", ".")  # hybrid, version 1, version 2
    tops = [Path("/sys/fs/cgroup") / name for name in names]
    return next((one for one in tops if (one / "cgroup.procs").exists()), None)


@pytest.fixture
def journald() -> Iterator[Journald]:
    if os.geteuid() != 0 or not PROGRAM.exists() or shutil.which("unshare") is None:
        pytest.skip("needs root, unshare and systemd-journald")
    pytest.importorskip("systemd.journal")
    process = subprocess.Popen(
        ["unshare", "-m", "--propagation", "slave", "sh", "-c", START], stderr=subprocess.DEVNULL
    )
    try:
        yield Journald(process)
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def unit_group() -> Iterator[Path]:
    """A control group that makes its processes part of a unit, named like the group."""
    top = groups_of_units()
    if os.geteuid() != 0 or top is None:
        pytest.skip("needs root and a control group hierarchy that names units")
    group = top / "system.slice" / f"pull-watchdog-test-{uuid.uuid4().hex[:8]}.service"
    slice_is_ours = not group.parent.exists()
    group.mkdir(parents=True)
    yield group
    wait_until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()
    if slice_is_ours and not any(one.is_dir() for one in group.parent.iterdir()):
        group.parent.rmdir()
