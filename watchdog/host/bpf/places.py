"""Where the probes are: the prebuilt object for libbpf, their sources for bcc.

A package has both beside its code.  A checkout has the sources in probes/ and
the object, once built, in build/probes/.  $PULL_WATCHDOG_PROBES names one
directory that is used instead of all others.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import List

from watchdog.errors import Unavailable

OBJECT = "pull_watchdog.bpf.o"
SOURCE = "pull_watchdog.bpf.c"
OVERRIDE = "PULL_WATCHDOG_PROBES"
INSTALLED = Path("/usr/lib/pull-watchdog/probes")
_HOME = Path(__file__).resolve().parents[3]

_OWN_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


def directories() -> List[Path]:
    """Where to look, in this order."""
    override = os.environ.get(OVERRIDE)
    if override:
        return [Path(override)]
    return [_HOME / "build" / "probes", _HOME / "probes", INSTALLED]


def prebuilt_object() -> Path:
    """The object that libbpf loads.  Raises Unavailable."""
    return _find(OBJECT, "no prebuilt object")


def joined_source() -> str:
    """All probes as one text, since bcc rewrites map calls only in its main text.

    Each file stands where it is included first.  Raises Unavailable.
    """
    main = _find(SOURCE, "no probe sources")
    return _join(main.parent, main.name, set())


def is_there(path: Path) -> bool:
    """Not by access(2), which forgets the capabilities of who is not root."""
    try:
        return path.exists()
    except OSError:
        return False


def _find(name: str, trouble: str) -> Path:
    looked_at = directories()
    for directory in looked_at:
        if is_there(directory / name):
            return directory / name
    raise Unavailable(f"{trouble} ({name}) in {', '.join(map(str, looked_at))}")


def _join(directory: Path, name: str, included: set[str]) -> str:
    if name in included:
        return ""
    included.add(name)
    try:
        text = (directory / name).read_text(encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"the probe source {directory / name} cannot be read: {error.strerror}") from error
    return f'#line 1 "{name}"\n' + _OWN_INCLUDE.sub(lambda line: _join(directory, line[1], included), text)
