"""Files that a reader finds whole: written beside their place, then moved into it."""

from __future__ import annotations

import os
from pathlib import Path


def make_directory(path: Path, mode: int) -> None:
    """Make `path` and its parents, with exactly that mode whatever the umask is."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)


def write_whole(path: Path, content: bytes, mode: int = 0o644, sync: bool = False) -> None:
    """Replace the file in one step; with `sync` it is on the disk when this returns.

    There is one writer a file, so the name beside it needs no number, and what
    an interrupted write left there is overwritten by the next.
    """
    beside = path.with_name(f".{path.name}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(content)
        if sync:
            file.flush()
            os.fsync(fd)
    beside.replace(path)
