"""The download files of layers that a runtime has open: GetImageBlob* below its data root."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from watchdog.core.observation import BlobSample
from watchdog.host.proc import Process


def downloads_of(daemon: Process) -> Dict[str, BlobSample]:
    """Each download file by its name, with how much is in it and how far it was read back."""
    found = {}
    for number, link in daemon.descriptors():
        name = Path(link.split(" ")[0]).name  # "... (deleted)"
        place = daemon.position_and_size(number) if name.startswith("GetImageBlob") else None
        if place is not None:
            found[name] = BlobSample(name, size_bytes=place[1], position_bytes=place[0])
    return found
