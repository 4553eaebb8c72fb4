"""What a Harbor says of itself, added to what was found of it.

Its health tells two of its four ways to fail a push; where it says that all is
well, the other two are left: the quota's lock, and the storage behind it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping

from watchdog.core.advice import registry
from watchdog.core.advice.record import Advice
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.harbor import FRESH_NS, for_version, reason_of
from watchdog.core.observation import HarborSeen
from watchdog.core.world import World

_OF_A_REGISTRY = (
    Cause.REGISTRY_ERROR,
    Cause.REGISTRY_OVERLOADED,
    Cause.PUSH_COMMIT_STALLED,
    Cause.PUSH_RETRY_LOOP,
)
_ADVICE: Mapping[str, Advice] = {
    "ingress_404": registry.INGRESS_404,
    "database": registry.DATABASE,
    "registry_down": registry.REGISTRY_DOWN,
    "storage": registry.STORAGE,
    "quota_lock": registry.QUOTA_LOCK,
}
_WHEN_HEALTHY = {"no_answer": "quota_lock", "504": "quota_lock", "500": "storage", "503": "storage"}


def with_health(finding: Finding, world: World) -> Finding:
    """The finding with Harbor's own word; as it was where it is about no Harbor that the operator named."""
    target = finding.target
    if target is None or finding.cause not in _OF_A_REGISTRY:
        return finding
    at_ns, seen = world.harbors.get(target.endpoint, (0, None))
    if seen is None or world.now_ns - at_ns > FRESH_NS:
        return finding
    reason = _reason(finding, seen, target.reason)
    advice = _ADVICE.get(reason)
    if advice is not None:
        chosen = for_version(advice, seen.version)
        # What to do about the waiting push itself comes first.
        own = finding.advice[:1] if finding.cause is Cause.PUSH_COMMIT_STALLED else chosen.here
        finding = replace(finding, advice=(*own, *chosen.sentences({"evidence": ""})))
    return replace(
        finding,
        evidence=(*finding.evidence, Evidence(Kind.SOCKET, _word(seen))),
        target=replace(target, reason=reason),
    )


def _reason(finding: Finding, seen: HarborSeen, known: str) -> str:
    if known in _ADVICE:
        return known  # its own logs say more than its health
    is_push = finding.cause is Cause.PUSH_COMMIT_STALLED or "/push " in finding.subject
    return reason_of(seen) or (_WHEN_HEALTHY.get(known, known) if is_push else known)


def _word(seen: HarborSeen) -> str:
    if seen.status != 200:
        return f"{seen.url} answers {seen.status} when it is asked for its health"
    return f"{seen.url} says of itself: {'; '.join(seen.unhealthy) or 'all components are healthy'}"
