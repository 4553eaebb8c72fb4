"""`run --record FILE`: every frame as it comes, for whoever wants to replay the whole run.

Law: bounded, and written by the writer thread; a full disk ends the recording
and not the agent.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Optional

from watchdog.core.observation import Frame
from watchdog.errors import Unavailable
from watchdog.report.evidence import as_lines
from watchdog.report.writer import Writer

LIMIT_BYTES = 1 << 30


class Recording:
    """Appends frames to a file.  `problem` says why it has ended, or is empty."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._written_bytes = 0
        self.problem = ""
        try:
            self._file: Optional[BinaryIO] = path.open("wb", buffering=0)
        except OSError as error:
            raise Unavailable(f"{path} cannot be written: {error.strerror}") from error

    def observe(self, frame: Frame) -> None:
        """Append one frame."""
        if self._file is None:
            return
        lines = as_lines([frame])
        self._written_bytes += len(lines)
        if self._written_bytes > LIMIT_BYTES:
            self._end(f"{self._path}: the recording ends at {LIMIT_BYTES} bytes")
        elif not self._writer.submit(lambda: self._append(lines)):
            self._end(f"{self._path}: the disk is too slow; the recording ends here")

    def _append(self, lines: bytes) -> None:
        file = self._file
        if file is None:
            return
        try:
            file.write(lines)
        except OSError as error:
            self._end(f"{self._path}: {error.strerror}; the recording ends here")

    def _end(self, problem: str) -> None:
        self.problem = problem
        self._file = None
