"""Whether anything can still be written below a directory.

Law: a file system that has kept us waiting once is not asked again.
"""

from __future__ import annotations

import os
from typing import Optional

from watchdog.errors import WatchdogError
from watchdog.host import deadline

LEAST_BYTES = 16 << 20
LEAST_INODES = 64
_DEADLINE_S = 1.0
_ASK_EVERY_NS = 10_000_000_000


class Room:
    """The room below one directory, looked at now and then.  Not for several threads at once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._asked_ns = -_ASK_EVERY_NS
        self._hangs = False
        self._is_full: Optional[bool] = None

    def is_full(self, now_ns: int) -> Optional[bool]:
        """Whether next to nothing can be written; None where that cannot be seen."""
        if not self._hangs and now_ns - self._asked_ns >= _ASK_EVERY_NS:
            self._asked_ns = now_ns
            try:
                self._is_full = deadline.within(_DEADLINE_S, f"the room in {self.path}", self._look)
            except OSError:
                self._is_full = None
            except WatchdogError:
                self._hangs, self._is_full = True, None
        return self._is_full

    def _look(self) -> bool:
        found = os.statvfs(self.path)
        no_inodes = found.f_files > 0 and found.f_favail < LEAST_INODES  # some file systems do not count them
        return found.f_bavail * found.f_frsize < LEAST_BYTES or no_inodes
