"""Where each followed log was read to, for the next start.

Law: read once at the start; written by the writer thread, and
not oftener than a log's worth: a line read twice does no harm.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, Mapping

from watchdog.report.files import make_directory, write_whole
from watchdog.report.writer import Writer

_EVERY_S = 10.0
_MOST_BYTES = 4096


class Cursors:
    """STATE_DIR/cursors, a file for each runtime."""

    def __init__(self, state_dir: Path, writer: Writer) -> None:
        self._directory = state_dir / "cursors"
        self._writer = writer
        self._kept: Dict[str, str] = {}
        self._kept_at = time.monotonic()

    def load(self, runtime: str) -> str:
        """The cursor of that runtime's log, "" where there is none.  Reads a disk: it may stall."""
        return _read(self._directory / runtime)

    def keep(self, cursors: Mapping[str, str], at_once: bool = False) -> None:
        """Write those that changed, every now and then."""
        now = time.monotonic()
        if not at_once and now - self._kept_at < _EVERY_S:
            return
        self._kept_at = now
        for runtime, cursor in cursors.items():
            if cursor and self._kept.get(runtime) != cursor:
                self._kept[runtime] = cursor
                self._submit(runtime, cursor)

    def _submit(self, runtime: str, cursor: str) -> None:
        def write() -> None:
            make_directory(self._directory, 0o700)
            write_whole(self._directory / runtime, cursor.encode(), mode=0o600)

        self._writer.submit(write, key=f"cursor {runtime}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
