"""What moves in a runtime right now: the downloads of its layers, and what its children have passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, Tuple

from watchdog.errors import ProcessGone
from watchdog.host.proc import Process

Place = Tuple[int, int]
_DEEPEST = 3  # a wrapper's program is the second


def downloads_of(daemon: Process) -> Dict[str, Place]:
    """Position and size of each layer's download file (GetImageBlob*) that is open."""
    found = {}
    for number, link in daemon.descriptors():
        name = Path(link.split(" ")[0]).name  # "... (deleted)"
        place = daemon.position_and_size(number) if name.startswith("GetImageBlob") else None
        if place is not None:
            found[name] = place
    return found


def extractions_of(daemon: Process) -> Dict[str, Place]:
    """The bytes read and written by each descendant that reads from a pipe."""
    return dict(_fed(daemon, _DEEPEST))


def _fed(parent: Process, depth: int) -> Iterator[Tuple[str, Place]]:
    for pid in parent.children() if depth else []:
        try:
            with Process(pid) as child:
                if (child.descriptor(0) or "").startswith("pipe:"):
                    counters = child.io()
                    yield f"{child.stat().comm} (pid {pid})", (counters.read_bytes, counters.written_bytes)
                yield from _fed(child, depth - 1)
        except ProcessGone:
            continue
