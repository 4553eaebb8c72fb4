"""The files into which a runtime downloads layers: DATA_ROOT/tmp/GetImageBlobN.

Law: size and position come from memory (host/inode, fdinfo).  No file of the
data root is opened, so a dead disk below it does not hold us.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Iterator, Tuple

from watchdog.core.observation import BlobSample
from watchdog.host.proc import Process

_NAME = "GetImageBlob"
_DELETED = " (deleted)"


def download_files(process: Process) -> Tuple[BlobSample, ...]:
    """The layers' download files that a runtime holds open.  Raises ProcessGone, Unavailable."""
    return tuple(_download_files(process))


def _download_files(process: Process) -> Iterator[BlobSample]:
    for number, link in process.descriptors():
        name = PurePosixPath(link).name
        if not name.startswith(_NAME):
            continue
        seen = process.position_and_size(number)
        if seen is not None and process.descriptor(number) == link:  # no other file since
            yield BlobSample(name.replace(_DELETED, ""), size_bytes=seen[1], position_bytes=seen[0])
