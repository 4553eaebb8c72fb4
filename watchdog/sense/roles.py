"""What a child of the runtime is for: to decompress, to untar, or something else.

Law: a process' arguments are read once in its life, with a deadline.  A
decompressor stays one, also when it becomes another program: a wrapper script
that ends in `exec` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath
from typing import Collection, Dict, Optional, Sequence, Tuple

from watchdog.core.observation import ProcessKey
from watchdog.errors import ProcessGone, WatchdogError
from watchdog.host import birth
from watchdog.host.proc import PROC

# What dockerd runs to decompress, and what may stand in for it.
DECOMPRESSORS = frozenset({"unpigz", "pigz", "igzip", "gzip", "gunzip", "xz", "unxz", "zstd", "unzstd"})
# dockerd's own names for the processes that unpack a layer; their comm is `exe`.
UNTARS = frozenset({"docker-untar", "docker-applyLayer"})

_READ_WITHIN_S = 0.3


class Kind(Enum):
    """`UNREADABLE`: its arguments did not come within the deadline."""

    DECOMPRESSOR = "decompressor"
    UNTAR = "untar"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Role:
    """`word`: the command of a decompressor, the target directory of an untar."""

    kind: Kind
    word: str = ""


def role_of(comm: str, argv: Sequence[str]) -> Role:
    """The role of a process with this name and these arguments.

    A script shows as its interpreter in argv[0], with its own path behind it.
    """
    names = [PurePosixPath(word).name for word in argv[:2]]
    if names and names[0] in UNTARS:
        return Role(Kind.UNTAR, argv[-1])
    if comm not in DECOMPRESSORS and not (names and names[0] in DECOMPRESSORS):
        return Role(Kind.OTHER)
    for name, word in zip(names, argv):
        if name == comm or name in DECOMPRESSORS:
            return Role(Kind.DECOMPRESSOR, word)
    return Role(Kind.DECOMPRESSOR, argv[0] if argv else comm)


class Roles:
    """The roles of the processes that are alive, each found out once."""

    def __init__(self, root: str = PROC) -> None:
        self._root = root
        self._known: Dict[ProcessKey, Tuple[str, Role]] = {}

    def of(self, key: ProcessKey, comm: str) -> Role:
        """The role of a child that calls itself `comm`."""
        known_comm, known = self._known.get(key, ("", None))
        if known is not None and (known_comm == comm or known.kind is not Kind.OTHER):
            return known
        role = self._find(key, comm)
        if role is not None:
            self._known[key] = (comm, role)
        return role or Role(Kind.OTHER)

    def keep_only(self, alive: Collection[ProcessKey]) -> None:
        """Forget all others."""
        self._known = {key: known for key, known in self._known.items() if key in alive}

    def _find(self, key: ProcessKey, comm: str) -> Optional[Role]:
        """Its role; None when it cannot be told yet because it is being born or has just ended."""
        try:
            argv = birth.arguments(key, self._root, _READ_WITHIN_S)
        except ProcessGone:
            return None
        except WatchdogError:
            return Role(Kind.DECOMPRESSOR, comm) if comm in DECOMPRESSORS else Role(Kind.UNREADABLE)
        return role_of(comm, argv) if argv else None
