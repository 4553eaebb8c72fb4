"""The files of the configuration: config.yaml, then conf.d/*.yaml beside it in the order of their names.

Law: a later file wins, key by key: sections merge, a list or a single value is
replaced as a whole.  Each value remembers its own file, so that a complaint
names the line that somebody has to edit.  These files name commands that root
runs, so a stranger cannot add one.
"""

from __future__ import annotations

from pathlib import Path
from typing import AbstractSet, Dict, Sequence, Tuple

from watchdog.errors import ConfigError
from watchdog.yamlfile import Value, read_document

FRAGMENTS = "conf.d"
ROOT_UID = 0


def files_of(path: Path, must_exist: bool) -> Tuple[Path, ...]:
    """The files to read, in this order: `path`, if it is there or must be, and the fragments beside it."""
    main = (path,) if must_exist or path.exists() else ()
    return (*main, *_fragments(path))


def merged(files: Sequence[Path], known: Sequence[str]) -> Dict[str, Value]:
    """What all files say together, by key.  Raises ConfigError."""
    top: Dict[str, Value] = {}
    for file in files:
        for key, value in read_document(file).section(known).items():
            top[key] = top[key].overlaid(value) if key in top else value
    return top


def _fragments(path: Path) -> Tuple[Path, ...]:
    directory = path.parent / FRAGMENTS
    try:
        if not directory.is_dir():
            return ()
        # A name that begins with a dot is an editor's copy.
        names = sorted(
            one.name for one in directory.iterdir() if one.suffix == ".yaml" and one.name[0] != "."
        )
        found = tuple(directory / name for name in names)
        trusted = {ROOT_UID, path.stat().st_uid if path.exists() else ROOT_UID}
        for one in (directory, *found) if found else ():
            _demand_owner(one, trusted)
    except OSError as error:
        raise _unreadable(Path(error.filename or directory), error) from None
    return found


def _demand_owner(path: Path, trusted: AbstractSet[int]) -> None:
    """conf.d is looked for beside any file that -c names, /tmp among the places."""
    owner = path.stat().st_uid
    if owner not in trusted:
        raise ConfigError(
            f"{path}: belongs to user {owner}, not to root or the owner of the file that -c names: "
            "chown it, or take it away"
        )


def _unreadable(path: Path, error: OSError) -> ConfigError:
    reason = error.strerror or str(error)
    return ConfigError(f"{path}: cannot be read ({reason}): check its path and its permissions")
