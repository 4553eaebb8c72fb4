"""The docker command line as people use it: a pull, a load, a build in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tests.lab.processes import Cell, end

# Debian's own first: another one on PATH may be newer and speak of other things.
DOCKER_PATH = "/usr/bin:/usr/local/bin:/bin"
_numbers = count(1)


class Client:
    """One run of `docker`; its output is collected in a file."""

    def __init__(self, root: Path, cell: Cell, arguments: Sequence[str]) -> None:
        docker = shutil.which("docker", path=DOCKER_PATH)
        if docker is None:
            raise FileNotFoundError("no docker command line")
        self._output = root / f"client-{next(_numbers)}.log"
        environment = {"PATH": DOCKER_PATH, "DOCKER_CONFIG": str(root / "cli"), "DOCKER_BUILDKIT": "0"}
        command = [docker, "-H", f"unix://{root}/docker.sock", *arguments]
        self._process = cell.spawn(command, "clients", self._output, environment)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait(self, deadline_s: float = 60.0) -> int:
        """Its exit status.  Raises subprocess.TimeoutExpired if it is still at it."""
        return self._process.wait(deadline_s)

    def give_up(self) -> int:
        """End it, as a person does who waited for too long; the daemon hears of it."""
        return end(self._process)


def write_build_context(folder: Path, archive: Path) -> None:
    """A build that unpacks a compressed archive: `ADD` makes dockerd run unpigz."""
    folder.mkdir()
    shutil.copy(archive, folder / "layer.tar.gz")
    (folder / "Dockerfile").write_text("FROM scratch\nADD layer.tar.gz /\n")
