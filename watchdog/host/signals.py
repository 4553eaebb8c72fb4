"""The signals that tell this process to stop, or to read its configuration again.

Law: a handler only leaves a byte in a pipe; the loop finds it there.
"""

from __future__ import annotations

import os
import signal
from typing import Set

STOP = frozenset({signal.SIGTERM, signal.SIGINT})


class Signals:
    """Takes the signals over from now on.  `fileno` is readable once one has come."""

    def __init__(self) -> None:
        self._reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        # On a terminal a hang-up means that nobody is there any more.
        wanted = STOP if os.isatty(0) else STOP | {signal.SIGHUP}
        for number in wanted:
            signal.signal(number, lambda *_: None)

    def fileno(self) -> int:
        return self._reading

    def take(self) -> Set[int]:
        """The numbers of those that came since the last call."""
        try:
            return set(os.read(self._reading, 4096))
        except BlockingIOError:
            return set()
