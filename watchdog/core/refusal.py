"""What a runtime's log tells of a registry's refusals: an answer that is an error, or none at all.

Seen with dockerd 20.10, a push:

    Upload failed, retrying: received unexpected HTTP status: 502 Bad Gateway
    Attempting next endpoint for push after error: error parsing HTTP 404 response body: ...

It tries a layer five times.  A refused manifest, a 404 that is no registry's and
a refusal of the commit with 404 ("blob upload unknown", whatever the answer said)
end the push at once.

Law: lines name no image; whose they are follows from who was there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import List, Optional, Sequence, Tuple

from watchdog.core.symptoms.vocabulary import Symptom, SymptomKind
from watchdog.core.told import Told
from watchdog.core.world import World

RECENT_NS = 120_000_000_000  # after so long without another refusal it goes well
BEFORE_NS = 2_000_000_000  # a line may be read a moment before its client is seen
TOO_MANY = 429
INGRESS_404 = "ingress_404"
UPLOAD_UNKNOWN = "upload_unknown"
TOGETHER_NS = 3_000_000_000  # the runtime waits five seconds before it tries a layer again
_OVERLOADED = (TOO_MANY, 503)
_CUTS = (SymptomKind.NET_RESET, SymptomKind.NET_TIMEOUT, SymptomKind.NET_REFUSED)


class Verb(str, Enum):
    """What was refused."""

    PUSH = "push"
    PULL = "pull"


@dataclass(frozen=True)
class Refusal:
    """One line about a refusal.  `final`: the runtime does not try it again; `error` in its words."""

    at_ns: int
    final: bool
    error: str
    symptom: Symptom

    @property
    def is_answer(self) -> bool:
        """Somebody has answered, be it the registry or what stands before it."""
        answers = (SymptomKind.SERVER_ERROR, SymptomKind.RATE_LIMITED)
        return self.symptom.kind in answers or self.reason in (INGRESS_404, UPLOAD_UNKNOWN)

    @property
    def is_limit(self) -> bool:
        """It is refused for a limit of the asker's: for a pull another cause (logged.py)."""
        return self.symptom.kind is SymptomKind.RATE_LIMITED

    @property
    def is_cut(self) -> bool:
        """Nobody has answered: the way broke off, and the runtime begins the layer anew."""
        return self.symptom.kind in _CUTS and not self.final

    @property
    def says_too_much(self) -> bool:
        """The answer itself says that there is too much to do."""
        return self.symptom.status in _OVERLOADED or self.is_limit

    @property
    def reason(self) -> str:
        """The kind of the answer: a status, or what it shows besides; "" where it shows nothing."""
        if "error parsing HTTP 404" in self.error:
            return INGRESS_404
        if "blob upload unknown" in self.error:
            return UPLOAD_UNKNOWN
        if self.is_limit:
            return str(TOO_MANY)
        return str(self.symptom.status) if self.symptom.status else ""


_WORDS = {
    Verb.PUSH: re.compile(
        r"(?:(Upload failed, retrying)|Upload failed|Attempting next endpoint for push after error"
        r"|Not continuing with push after error): (.{1,400})"
    ),
    Verb.PULL: re.compile(
        r"(?:(Download failed, retrying(?: \(\d{1,4}/\d{1,4}\))?)"
        r"|Attempting next endpoint for pull after error|Not continuing with pull after error): (.{1,400})"
    ),
}
_OF_NO_REGISTRY = (SymptomKind.NONE, SymptomKind.CANCELED, SymptomKind.PROXY)


def refusals(runtime: str, world: World, verb: Verb, since_ns: int) -> List[Refusal]:
    """The refusals that the runtime told of since then, oldest first; none if the last is long ago."""
    told = world.told.get(runtime, ())
    read = (_read(one, verb) for one in told if one.source == runtime and one.at_ns >= since_ns - BEFORE_NS)
    found = [one for one in read if one is not None]
    return found if found and world.now_ns - found[-1].at_ns <= RECENT_NS else []


def rounds(told: Sequence[Refusal]) -> int:
    """How often it was refused: layers that go at once are refused at once."""
    count, began_ns = 0, 0
    for one in told:
        if not count or one.at_ns - began_ns > TOGETHER_NS:
            count, began_ns = count + 1, one.at_ns
    return count


def why(runtime: str, world: World, since_ns: int) -> Tuple[str, Optional[Told]]:
    """What the registry's own side logged meanwhile, where its logs are followed here."""
    for one in reversed(world.told.get(runtime, ())):
        if one.source == runtime or one.at_ns < since_ns - RECENT_NS:
            continue
        for beginning, reason in _REASONS:
            if one.symptom.detail.startswith(beginning):
                return reason, one
    return "", None


_REASONS = (
    ("harbor.db", "database"),
    ("harbor.quota_lock", "quota_lock"),
    ("harbor.registry_unreachable", "registry_down"),
    ("reg.s3", "storage"),
)


def _read(one: Told, verb: Verb) -> Optional[Refusal]:
    found = _WORDS[verb].search(one.text)
    if found is None or one.symptom.kind in _OF_NO_REGISTRY:
        return None
    return Refusal(one.at_ns, final=found[1] is None, error=found[2].rstrip('"'), symptom=one.symptom)
