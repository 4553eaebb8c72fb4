"""How one runtime process takes questions, and what it says of itself.

Law: a silent API is asked ever more rarely.  A stopped process is asked once
and then not before it runs again: each question would only wait in its queue.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from watchdog.core.observation import Api
from watchdog.core.policy import SECOND_NS
from watchdog.host.docker import ApiError, DockerApi

_PING_NS = 5 * SECOND_NS
_MOST_PING_NS = 60 * SECOND_NS
_INFO_NS = 120 * SECOND_NS  # for /info, dockerd runs programs: not often


class Interview:
    """The API of one process; begin a new one with the next process.

    `state` and `detail`: how the last question was taken.  `unanswered`: how many in
    a row got no answer, though they were taken.  `info`, `version`
    and `server` (the Server header): what it said last, None and "" before.
    """

    def __init__(self, path: str) -> None:
        self._api = DockerApi(path)
        self._asked_ns: Optional[int] = None
        self._informed_ns: Optional[int] = None
        self._pause_ns = _PING_NS
        self._was_stopped = False
        self.state = Api.REFUSED
        self.detail = "not asked yet"
        self.unanswered = 0
        self.server = ""
        self.info: Optional[Dict[str, Any]] = None
        self.version: Optional[Dict[str, Any]] = None

    def ask(self, now_ns: int, stopped: bool) -> None:
        """Ask whatever is due; takes at most two deadlines of the API.

        `stopped`: the process is in state T.
        """
        runs_again, self._was_stopped = self._was_stopped and not stopped, stopped
        if stopped and self.state is Api.SILENT:
            return
        if self._asked_ns is not None and now_ns - self._asked_ns < self._pause_ns and not runs_again:
            return
        self._asked_ns = now_ns
        self._ping()
        if self.state is Api.ANSWERS:
            self._ask_for_words(now_ns)

    def _ping(self) -> None:
        try:
            self.server = self._api.ping().server
        except ApiError as error:
            self.state, self.detail = error.state, str(error)
        else:
            self.state, self.detail = Api.ANSWERS, ""
        silent = self.state is Api.SILENT
        self.unanswered = self.unanswered + 1 if silent else 0
        self._pause_ns = min(2 * self._pause_ns, _MOST_PING_NS) if silent else _PING_NS

    def _ask_for_words(self, now_ns: int) -> None:
        """/info now and then, /version once; one of them at a time."""
        if self._informed_ns is None or now_ns - self._informed_ns >= _INFO_NS:
            info = self._words(self._api.info)
            if info is not None:
                self.info, self._informed_ns = info, now_ns
        elif self.version is None:
            self.version = self._words(self._api.version)

    def _words(self, question: Callable[[], Dict[str, Any]]) -> Optional[Dict[str, Any]]:
        """The answer; a slow one to a heavy question does not make the API silent."""
        try:
            return question()
        except ApiError as error:
            self.detail = str(error)
            return None
