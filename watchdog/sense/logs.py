"""The runtime's own log, from a file or from the journal, without the secrets in it.

Law: a line leaves here redacted.  What a line means, the core decides; that a
line alone confirms nothing as well.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Optional, Union

from watchdog.core.observation import LogLine, Observation
from watchdog.core.redaction import redact
from watchdog.errors import WatchdogError
from watchdog.host.journal import Journal
from watchdog.host.logfile import LogFile
from watchdog.sense.health import Health

JOURNAL = "journal"

# What can be of use about a pull: trouble of any kind, and who asked for what.  A busy
# daemon in debug mode writes hundreds of other lines a second.
_OF_USE = re.compile(
    r"""level["']?[=:]["']?(?:warn|error|fatal|panic)|images/create|[Rr]etrying|next endpoint"""
    r"""|[Nn]ot continuing|^panic: |^fatal error: """
)


class LogSensor:
    """One runtime's log.

    `log` is "journal" or the path of a file; `service` is the unit whose journal
    it is; `cursor` is what `cursor()` said when we ran last.  Not for several
    threads at once, but `cursor` is.
    """

    def __init__(self, runtime: str, log: str, service: Optional[str] = None, cursor: str = "") -> None:
        self._runtime = runtime
        self._health = Health(f"log.{runtime}")
        self._follower = _follower(log, service, cursor)
        self._cursor = cursor

    def read(self, now_ns: int) -> List[Observation]:
        """The lines that have come; the first look begins with those to come."""
        if self._follower is None:
            return self._health.down("the journal needs the name of the runtime's service")
        try:
            lines = self._follower.read()
        except WatchdogError as error:
            return self._health.down(str(error))
        self._cursor = self._follower.cursor()
        return [
            *self._health.up(self._loss()),
            *(LogLine(self._runtime, redact(line)) for line in lines if _OF_USE.search(line)),
        ]

    def cursor(self) -> str:
        """Where to go on after a restart, for whoever stores it."""
        return self._cursor

    def _loss(self) -> str:
        skipped = self._follower.skipped_bytes if isinstance(self._follower, LogFile) else 0
        return f"{skipped} bytes were skipped: the log grew too fast" if skipped else ""


def _follower(log: str, service: Optional[str], cursor: str) -> Union[Journal, LogFile, None]:
    if log != JOURNAL:
        return LogFile(Path(log), cursor)
    return Journal(service, cursor) if service else None
