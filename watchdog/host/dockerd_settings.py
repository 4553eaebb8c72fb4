"""What a dockerd was started with: its options, and the configuration file that they name.

Law: a setting that may have changed since is not known.  The file counts only
where it is older than the process; arguments lie in the process's own memory and
are read with a deadline (host/birth).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from watchdog.core.observation import ProcessKey
from watchdog.errors import WatchdogError
from watchdog.host import birth, deadline
from watchdog.host.proc import PROC

CONFIG_OPTION = "--config-file"
USUAL_CONFIG = "/etc/docker/daemon.json"
DEFAULT_ATTEMPTS = 5
DEFAULT_SLOTS = 3
_DEADLINE_S = 1.0
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class DockerdSettings:
    """None where it cannot be told.

    `attempts`: max-download-attempts, which only a restart changes.  `slots`:
    max-concurrent-downloads.
    """

    attempts: Optional[int] = None
    slots: Optional[int] = None


def read_settings(key: ProcessKey, root: str = PROC) -> DockerdSettings:
    """The settings of that dockerd; unknown ones where it, or its file, cannot be looked at."""
    try:
        words = birth.arguments(key, root)
        path = f"{root}/{key.pid}/root{config_file(words)}"
        file = deadline.within(_DEADLINE_S, path, lambda: _read(Path(path), birth.started_wall_ns(key)))
    except WatchdogError:
        return DockerdSettings()
    return DockerdSettings(
        _setting(words, file, "max-download-attempts", DEFAULT_ATTEMPTS),
        _setting(words, file, "max-concurrent-downloads", DEFAULT_SLOTS),
    )


def config_file(words: Sequence[str]) -> str:
    """Where a dockerd with these arguments reads its configuration."""
    return option(words, CONFIG_OPTION) or USUAL_CONFIG


def option(words: Sequence[str], name: str) -> Optional[str]:
    """The value of an option: of "--name value" and of "--name=value"; None without it."""
    for word, following in zip(words, [*words[1:], ""]):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _setting(words: Sequence[str], file: Optional[Dict[str, Any]], name: str, usual: int) -> Optional[int]:
    told = option(words, f"--{name}")
    if told is not None:
        return int(told) if told.isdecimal() else None
    if file is None:
        return None
    value = file.get(name, usual)
    return value if isinstance(value, int) and value > 0 else None


def _read(path: Path, started_wall_ns: int) -> Optional[Dict[str, Any]]:
    """The file's settings; {} where there is none, None where it may say something else than in force."""
    try:
        # Not the mtime: a file that was written long ago may have been moved here just now.  A chmod
        # counts as a change as well, which is only more careful.  A link has a time of its own.
        if max(path.stat().st_ctime_ns, path.lstat().st_ctime_ns) >= started_wall_ns:
            return None
        value = json.loads(path.read_bytes()[:_MOST_BYTES] or b"{}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
