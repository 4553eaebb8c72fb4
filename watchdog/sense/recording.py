"""Recordings: a file of frames, one a line.  The reader is a sensor too.

A recording that ends in mid-line, as a killed agent leaves it, is read up to
there; anything else that is no frame is an error with its file and line.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Iterator

from watchdog.core.codec import frame_from_json
from watchdog.core.observation import Frame
from watchdog.errors import RecordingError, Unavailable

LINE_MAX_BYTES = 16 << 20


def read_frames(path: Path) -> Iterator[Frame]:
    """The frames of a recording, in order.

    Raises Unavailable when the file cannot be read and RecordingError when it
    is foreign, damaged or cut off; the frames before the damage come first.
    """
    try:
        with path.open("rb") as file:
            yield from _frames(path, file)
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error


def _frames(path: Path, file: BinaryIO) -> Iterator[Frame]:
    number = 0
    while True:
        line = file.readline(LINE_MAX_BYTES)
        if not line:
            break
        number += 1
        if not line.endswith(b"\n"):
            whole = f"the {number - 1} frames before it are whole"
            raise RecordingError(f"{path}:{number}: the recording is cut off in this line; {whole}")
        yield _frame(path, number, line)
    if number == 0:
        raise RecordingError(f"{path}: the recording is empty")


def _frame(path: Path, number: int, line: bytes) -> Frame:
    try:
        return frame_from_json(line.decode())
    except (RecordingError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path}:{number}: {error}") from error
