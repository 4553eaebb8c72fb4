"""One line of ours in the file of host names, and no other byte of it changed.

    10.0.0.9 registry.example # pull-watchdog: route_around until 2026-11-22T03:00:00Z

Law: the line is put before all others and taken away as a whole, so what stood
there stands there as it did, with or without a last line end.  A file that is a
link or a mount is somebody's who writes it anew at will; it cannot be replaced in
one step, and to write into it would show readers half a file: refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from watchdog.act import whole_file
from watchdog.errors import Refused

MARK = "# pull-watchdog: route_around"


def line_of(address: str, host: str, until: str) -> str:
    """The line that gives a host that address, marked as ours."""
    return f"{address} {host} {MARK} until {until}"


def check(path: Path, host: str) -> None:
    """Refused unless the file may be replaced, and no line of it gives that host an address."""
    whole_file.check(path)
    theirs = lines_for(whole_file.read(path), host)
    if theirs:
        raise Refused(f"{path} has a line for {host} already: {theirs[0].strip()[:120]}")


def add(path: Path, line: str, host: str) -> None:
    """Put the line before all others.  Raises Refused."""
    check(path, host)
    text = whole_file.read(path)
    whole_file.replace_text(path, text, f"{line}\n{text}")


def remove(path: Path, line: str) -> bool:
    """Take the line away; False when it does not stand there any more as it was written."""
    text = whole_file.read(path)
    at = _place(text, line)
    if at is None:
        return False
    whole_file.replace_text(path, text, text[:at] + text[at + len(line) + 1 :])
    return True


def holds(path: Path, line: str) -> bool:
    """Whether that very line stands in the file."""
    return _place(whole_file.read(path), line) is not None


def lines_for(text: str, host: str) -> List[str]:
    """The lines that give that name an address."""
    return [line for line in text.splitlines() if _names(line, host)]


def _place(text: str, line: str) -> Optional[int]:
    """Where the line begins."""
    if text.startswith(f"{line}\n"):
        return 0
    at = text.find(f"\n{line}\n")
    return at + 1 if at >= 0 else None


def _names(line: str, host: str) -> bool:
    words = line.partition("#")[0].split()
    return host.lower() in (word.lower().rstrip(".") for word in words[1:])
