"""The runtime's configuration file (daemon.json), edited as data: one key, every other byte kept.

Law: the file is its owner's.  A reload puts all of it in force, so it is edited
only while nothing else in it waits for that: where it has been changed since the
runtime read it, or the runtime says otherwise of itself, the edit is refused.  So
it is for a file that is invalid, a key that is a flag as well (dockerd refuses the
reload), a flag that a reload would reset, and an authorization plugin (a reload
can end dockerd 20.10).

The file is replaced in one step behind its links, and the old one stays beside it.
Undoing puts back the old text of the key, unless somebody has changed it since.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional

from watchdog.act import json_text, whole_file
from watchdog.act.daemon_command import DaemonCommand
from watchdog.act.identity import Subject
from watchdog.act.view import view_of
from watchdog.errors import Refused

BACKUP = ".before-pull-watchdog"
_MOST_BYTES = 1 << 20
# What the keys that we write are called as flags; dockerd takes each from one place only.
_FLAGS: Mapping[str, str] = {
    "registry-mirrors": "--registry-mirror",
    "max-concurrent-downloads": "--max-concurrent-downloads",
    "max-concurrent-uploads": "--max-concurrent-uploads",
    "max-download-attempts": "--max-download-attempts",
}
_RESET_BY_RELOAD = ("--max-concurrent-downloads", "--max-concurrent-uploads")


@dataclass(frozen=True)
class Change:
    """One key, before and after: JSON texts, None for "not there".  `path`: the file behind its links."""

    path: str
    key: str
    before: Optional[str]
    after: Optional[str]

    @property
    def reverse(self) -> Change:
        """The way back."""
        return Change(self.path, self.key, before=self.after, after=self.before)


@dataclass(frozen=True)
class ConfigFile:
    """The file as it is read: `text` is that of an empty object where there is none.

    `changed_ns`: wall time of the last change to it, to its links, or to the
    directory from which it is missing.
    """

    path: Path
    text: str
    there: bool
    changed_ns: int

    def value(self, key: str) -> Any:
        """The value of a key, None where it is missing."""
        return json_text.parse(self.text).get(key)


def find(daemon: Subject, started: DaemonCommand) -> ConfigFile:
    """The file that the runtime reads.  Refused where it is not certain, or no JSON object."""
    named = started.config_file
    if not named.startswith("/"):
        raise Refused(f"the runtime reads {named}, and from which directory is not known")
    _check_same_view(daemon, named)
    file = read(Path(os.path.realpath(named)))
    if not file.there and started.names_config_file:
        raise Refused(f"{named} is gone, and the runtime would not start without it")
    link_ns = os.lstat(named).st_ctime_ns if file.there else 0
    return ConfigFile(file.path, file.text, file.there, max(file.changed_ns, link_ns))


def read(path: Path) -> ConfigFile:
    """The file at that path.  Refused where it cannot be used."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as source:
            found = os.fstat(source.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"{path} is no plain file")
            text = source.read(_MOST_BYTES).decode()
            json_text.parse(text)
            return ConfigFile(path, text, True, found.st_ctime_ns)
    except FileNotFoundError:
        return ConfigFile(path, "{}\n", False, _folder_changed_ns(path.parent))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Refused(f"{path} is not valid, so it is left alone: {error}") from error


def check_flags(started: DaemonCommand, key: str) -> None:
    """Refused where a flag of the runtime speaks against the edit, or against any reload."""
    flag = _FLAGS[key]
    if started.option(flag) is not None:
        raise Refused(f"the runtime was started with {flag}; it would not take {key} from its file as well")
    check_reloadable(started)


def check_reloadable(started: DaemonCommand) -> None:
    """Refused where a reload would change more than the file says."""
    for flag in _RESET_BY_RELOAD:
        if started.option(flag) is not None:
            raise Refused(f"the runtime was started with {flag}, which a reload would reset to its default")
    if started.option("--authorization-plugin") is not None:
        raise Refused("the runtime has an authorization plugin: a reload might end it")


def change(file: ConfigFile, key: str, after: Optional[str]) -> Change:
    """What setting that key to that JSON text would change.  Refused where the file cannot be written."""
    _check_writable(file)
    return Change(str(file.path), key, json_text.value_text(file.text, key), after)


def write(wanted: Change, started: Optional[DaemonCommand]) -> None:
    """Write the file anew with the change, if the key is as it was; Refused with nothing touched.

    `started` None: the runtime does not run, and cannot say whether it would take it.
    """
    file = read(Path(wanted.path))
    if json_text.value_text(file.text, wanted.key) != wanted.before:
        raise Refused(f"somebody has changed {wanted.key} in {wanted.path} since it was looked at")
    fresh = file.path.with_name(f".{file.path.name}.pull-watchdog")
    try:
        text = json_text.exchanged(file.text, wanted.key, wanted.after)
        whole_file.write_fresh(fresh, file.path if file.there else None, text)
        faults = started.faults_of(str(fresh)) if started is not None else []
        if faults:
            raise Refused("; ".join(faults))
        _replace(file, fresh)
    except OSError as error:
        raise Refused(f"{wanted.path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            fresh.unlink()


def take_back(wanted: Change, started: Optional[DaemonCommand]) -> bool:
    """Put back what the change has changed; False where somebody has changed the key since."""
    now = json_text.value_text(read(Path(wanted.path)).text, wanted.key)
    if now == wanted.after:
        write(wanted.reverse, started)
        _drop_backup(Path(wanted.path))
    return now in (wanted.after, wanted.before)


def _check_same_view(daemon: Subject, named: str) -> None:
    """The runtime must see the same file as we do, or the same directory without it."""
    with view_of(daemon.key.pid) as theirs, view_of(os.getpid()) as ours:
        for path in (named, str(Path(named).parent)):
            mine, its = ours.look(path), theirs.look(path)
            if (mine and mine.identity) != (its and its.identity):
                raise Refused(f"the runtime does not see our {path}: it has a root or mounts of its own")
            if mine is not None:
                return
    raise Refused(f"there is no directory {Path(named).parent}")


def _folder_changed_ns(folder: Path) -> int:
    try:
        return folder.stat().st_ctime_ns
    except OSError as error:
        raise Refused(f"{folder} cannot be used: {error.strerror}") from error


def _check_writable(file: ConfigFile) -> None:
    """Root may write everywhere but on a read-only file system and to an immutable file."""
    for path in [file.path.parent, *([file.path] if file.there else [])]:
        if not os.access(path, os.W_OK):
            raise Refused(f"{path} cannot be written to: it is read-only here")


def _replace(old: ConfigFile, fresh: Path) -> None:
    """The new file in the place of the old one, which stays beside it.  Refused when that has changed."""
    now = read(old.path)
    if (now.there, now.text) != (old.there, old.text):
        raise Refused(f"somebody has changed {old.path} since it was looked at")
    backup = old.path.with_name(old.path.name + BACKUP)
    with suppress(FileNotFoundError):
        backup.unlink()
    if old.there:
        os.link(old.path, backup)
    fresh.replace(old.path)
    whole_file.sync_folder(old.path.parent)


def _drop_backup(path: Path) -> None:
    """The file that was written last is our own: nothing of its owner's is lost with it."""
    with suppress(OSError):
        path.with_name(path.name + BACKUP).unlink()
