"""The environment file that a runtime reads at its next start.

Law: whoever writes this file sets the runtime's environment, that is, is root.
So: a directory of its own that root alone can write to, a closed list of lines,
written in one step.  A file that holds anything else is not ours and is left
alone.  It is written only when the runtime is restarted at once; forgotten,
it would act weeks later.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import List

from watchdog.act import systemctl
from watchdog.act.settings import ActSettings
from watchdog.errors import Refused, Unavailable

_MOST_BYTES = 4096
DISABLE_PIGZ = "MOBY_DISABLE_PIGZ"
LINES = (f"{DISABLE_PIGZ}=true\n",)


def path_in_force(settings: ActSettings) -> Path:
    """The file that the runtime reads at its start; Refused where that is not certain."""
    path, unit = settings.runtime.env_file, settings.runtime.service
    if path is None:
        raise Refused(f"no env_file is configured for {settings.runtime.name}: its start reads none of ours")
    if unit is not None and str(path) not in _read_by(unit):
        raise Refused(f"{unit} does not read {path}: give it EnvironmentFile=-{path} in a drop-in")
    return path


def check(path: Path) -> None:
    """Refused unless the file may be written: a safe place, and no content but ours."""
    try:
        folder = path.parent.lstat()
    except OSError as error:
        raise Refused(f"{path.parent} cannot be used: {error.strerror}") from error
    if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != 0 or folder.st_mode & 0o022:
        raise Refused(f"{path.parent} must be a directory that root alone can write to")
    if content(path) not in ("", *LINES):
        raise Refused(f"{path} holds something else than we write there: it is left alone")


def content(path: Path) -> str:
    """What stands in the file; empty where there is none.  Refused for one that is no plain file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(f"{path} is no plain file")
        return file.read(_MOST_BYTES).decode("utf-8", "replace")


def write(path: Path, line: str) -> None:
    """Put one of our lines into the file, in one step."""
    if line not in LINES:
        raise Refused(f"{line!r} is not among the lines that may be written")
    fresh = path.with_name(f".{path.name}.new")
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(line)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error


def take_back(path: Path, was_there: bool) -> str:
    """Remove our line; a file that was there and empty stays.  Says what was done; raises Unavailable."""
    if content(path) not in LINES:
        return f"{path} holds nothing of ours"
    try:
        if was_there:
            os.truncate(path, 0)
            return f"{path} is empty again"
        path.unlink()
    except OSError as error:
        raise Unavailable(f"{path} cannot be changed: {error.strerror}") from error
    return f"{path} is removed"


def _read_by(unit: str) -> List[str]:
    """The environment files of a unit; systemd prints "PATH (ignore_errors=yes)" for each."""
    shown = systemctl.show(unit, "EnvironmentFiles").get("EnvironmentFiles", "")
    return [line.rpartition(" (")[0] or line for line in shown.splitlines()]
