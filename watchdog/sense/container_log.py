"""The output of a container, from the file that docker keeps it in.

A container that is made anew has another file, so docker is asked now and then
where it is.  Law: nobody is asked before a runtime is known to run.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from watchdog.core.observation import Api
from watchdog.errors import Unavailable
from watchdog.host.docker import ApiError, DockerApi, NotFoundError
from watchdog.host.logfile import LogFile

ASK_AGAIN_S = 30.0
_FILE_DRIVER = "json-file"


class ContainerLog:
    """One container's log, by the container's name.

    `sockets`: the paths of those runtimes' sockets that are known to run.
    """

    def __init__(self, name: str, sockets: Callable[[], Sequence[str]], cursor: str = "") -> None:
        self.skipped_bytes = 0
        self._name = name
        self._sockets = sockets
        self._cursor = cursor
        self._path: Optional[Path] = None
        self._file: Optional[LogFile] = None
        self._asked_at: Optional[float] = None
        self._trouble = ""

    def read(self) -> List[str]:
        """Some of the lines that have come.  Raises Unavailable where there is no such file."""
        now = time.monotonic()
        if self._asked_at is None or now - self._asked_at > ASK_AGAIN_S:
            self._find(now)
        if self._file is None:
            raise Unavailable(self._trouble)
        lines = self._file.read()
        self.skipped_bytes = self._file.skipped_bytes
        return lines

    def cursor(self) -> str:
        """Where to go on after a restart of ours."""
        return self._file.cursor() if self._file is not None else self._cursor

    def _find(self, now: float) -> None:
        """Ask each runtime where the log is; what they said otherwise is our trouble."""
        sockets = self._sockets()
        self._asked_at = now if sockets else None
        self._trouble = f"there is no container {self._name}" if sockets else "no runtime is known to run"
        for socket in sockets:
            try:
                return self._follow(_file_of(self._name, DockerApi(socket).container(self._name)))
            except NotFoundError:
                continue
            except ApiError as error:
                self._trouble = str(error)

    def _follow(self, path: Path) -> None:
        """The file of another container than before is new to us from its first line on."""
        if path == self._path:
            return
        cursor = self.cursor()
        if self._file is not None:
            self._file.close()
        self._path, self._file = path, LogFile(path, cursor)


def _file_of(name: str, told: Dict[str, Any]) -> Path:
    driver = (told.get("HostConfig") or {}).get("LogConfig", {}).get("Type", "")
    path = told.get("LogPath") or ""
    if driver != _FILE_DRIVER or not path:
        raise ApiError(
            Api.ANSWERS,
            f"container {name} logs by {driver or 'an unknown driver'}: name the file or the journal's unit",
        )
    return Path(path)
