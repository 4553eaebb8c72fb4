"""The runtime's mirrors: where each leads, and whether one that was taken out of use serves again.

Law: a mirror that is in use is not asked, its pulls show enough.  One that is
out of use is asked now and then as a pull would ask it, within a deadline; an
answer counts for the bypass that it was asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from watchdog.core.observation import MirrorSeen, Observation, ProcessKey
from watchdog.core.policy import SECOND_NS
from watchdog.core.reference import parse_reference
from watchdog.core.tick import Bypassed
from watchdog.errors import WatchdogError
from watchdog.host import birth

_RESOLVE_NS = 60 * SECOND_NS
_ASK_NS = 20 * SECOND_NS
_DEADLINE_S = 2.5  # below the time after which a sensor counts as silent


class MirrorSensor:
    """The mirrors of one runtime.

    `follow` and `watch` may be called from any thread, `read` from one only.
    """

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._process: Optional[ProcessKey] = None
        self._mirrors: Tuple[str, ...] = ()
        self._watched: Tuple[Bypassed, ...] = ()
        self._seen: Dict[str, MirrorSeen] = {}
        self._resolved_ns: Dict[str, int] = {}
        self._asked_ns: Dict[str, int] = {}

    def follow(self, process: Optional[ProcessKey], mirrors: Sequence[str]) -> None:
        """This process is the runtime, and these are its mirrors."""
        self._process, self._mirrors = process, tuple(mirrors)

    def watch(self, bypassed: Sequence[Bypassed]) -> None:
        """These are out of use, and are asked whether they serve."""
        self._watched = tuple(one for one in bypassed if one.runtime == self._runtime)

    def read(self, now_ns: int) -> List[Observation]:
        """MirrorSeen for each mirror of which something new is known; one question at most."""
        told = []
        for url in self._mirrors:
            if now_ns - self._resolved_ns.get(url, -_RESOLVE_NS) >= _RESOLVE_NS:
                self._resolved_ns[url] = now_ns
                told += self._changed(self._resolved(url))
        watched = self._watched
        due = [one for one in watched if now_ns - self._asked_ns.get(one.action, -_ASK_NS) >= _ASK_NS]
        for one in due[:1]:
            self._asked_ns[one.action] = now_ns
            told += self._changed(self._asked(one))
        self._asked_ns = {one.action: self._asked_ns.get(one.action, -_ASK_NS) for one in watched}
        return told

    def _changed(self, seen: MirrorSeen) -> List[Observation]:
        if self._seen.get(seen.url) == seen:
            return []
        self._seen[seen.url] = seen
        return [seen]

    def _before(self, url: str) -> MirrorSeen:
        return self._seen.get(url, MirrorSeen(self._runtime, url))

    def _resolved(self, url: str) -> MirrorSeen:
        from watchdog.host import registry  # heavy, and most nodes have no mirror

        return replace(self._before(url), addresses=registry.addresses(url, _DEADLINE_S))

    def _asked(self, one: Bypassed) -> MirrorSeen:
        from watchdog.host import registry

        answer = registry.ask(one.endpoint, self._environment(), _DEADLINE_S, parse_reference(one.image))
        before = self._before(one.endpoint)
        answers = before.answers if before.action == one.action else 0
        return replace(
            before,
            action=one.action,
            answers=answers + 1 if answer.serves else 0,
            detail=answer.detail,
        )

    def _environment(self) -> Mapping[str, str]:
        """The runtime's: its proxies hold for us too."""
        if self._process is None:
            return {}
        try:
            return birth.environment(self._process)
        except WatchdogError:
            return {}
