"""A registry that answers with errors: which, and whether it is too much for it.

Law: two kinds of evidence: what the runtime's log says was answered, and who was
seen to wait for that answer.  What is refused for a name, a right or a limit is
another cause.  docker.io is left to the family of mirrors.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from watchdog.core.advice import registry as advice
from watchdog.core.advice.record import Advice
from watchdog.core.causes.download import runtime_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.demand import Demand, Waiting, ports_of, registry_of
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.policy import Thresholds
from watchdog.core.reference import DEFAULT_REGISTRY
from watchdog.core.refusal import (
    INGRESS_404,
    TOGETHER_NS,
    UPLOAD_UNKNOWN,
    Refusal,
    Verb,
    refusals,
    rounds,
    why,
)
from watchdog.core.target import Target
from watchdog.core.transfer import Transfers
from watchdog.core.upload import UPLOAD_BYTES
from watchdog.core.world import World

_ADVICE: Mapping[str, Advice] = {
    INGRESS_404: advice.INGRESS_404,
    UPLOAD_UNKNOWN: advice.NOT_FOUND,
    "database": advice.DATABASE,
    "storage": advice.STORAGE,
    "quota_lock": advice.QUOTA_LOCK,
    "registry_down": advice.REGISTRY_DOWN,
    "400": advice.PUSH_RETRY_LOOP,  # "plain HTTP request was sent to HTTPS port"
    "413": advice.PUSH_RETRY_LOOP,
}


def registry_errors(
    runtime: str, world: World, transfers: Transfers, demand: Demand, limits: Thresholds
) -> List[Finding]:
    """registry_error or registry_overloaded: at most one for each verb and registry."""
    found: List[Optional[Finding]] = []
    for verb, waiting in ((Verb.PUSH, demand.pushes), (Verb.PULL, demand.waiting)):
        by_host = by_registry(waiting)
        hosts = [host for host in by_host if host and (verb is Verb.PUSH or host != DEFAULT_REGISTRY)]
        found += [_judged(runtime, verb, host, by_host, world, transfers, limits) for host in sorted(hosts)]
    return [one for one in found if one is not None]


def by_registry(waiting: Sequence[Waiting]) -> Dict[str, List[Waiting]]:
    """Who waits, by the host of the registry that is asked; "" where it is not known."""
    found: Dict[str, List[Waiting]] = {}
    for one in waiting:
        found.setdefault(registry_of(one.client), []).append(one)
    return found


def of_host(told: Sequence[Refusal], host: str, hosts: Sequence[str]) -> List[Refusal]:
    """Those that are this registry's: the only one that is asked, or the one that the line names."""
    if len(hosts) == 1:
        return list(told)
    return [one for one in told if host in one.error]


def who_waits(waiting: Sequence[Waiting], verb: Verb) -> Evidence:
    """The clients behind a fault."""
    words = "; ".join(
        f"{one.client.image} (pid {one.client.key.pid}, "
        f"{'connected' if one.client.connected is not False else 'gone since'})"
        for one in waiting
    )
    return Evidence(Kind.PROCESS_STATE, f"{verb.value} of {words}")


def images_of(waiting: Sequence[Waiting]) -> Tuple[str, ...]:
    """The images that they wait for."""
    return tuple(dict.fromkeys(one.client.image for one in waiting if one.client.image))


def _judged(
    runtime: str,
    verb: Verb,
    host: str,
    by_host: Mapping[str, Sequence[Waiting]],
    world: World,
    transfers: Transfers,
    limits: Thresholds,
) -> Optional[Finding]:
    waiting, seen = by_host[host], world.runtimes.get(runtime)
    since_ns = min(one.since_ns for one in waiting)
    told = of_host(refusals(runtime, world, verb, since_ns), host, list(by_host))
    answers = [one for one in told if one.is_answer and not (verb is Verb.PULL and one.is_limit)]
    if not answers or seen is None or seen.process is None:
        return None
    reason, seen_there = why(runtime, world, answers[0].at_ns) if answers[-1].symptom.status else ("", None)
    reason = reason or answers[-1].reason or "5xx"
    at_once = _uploads_at_once(runtime, host, since_ns, transfers) if verb is Verb.PUSH else 0
    overloaded = _is_too_much(answers, reason, at_once)
    log = [f"the runtime says, {len(answers)} times, lastly: {answers[-1].error}"]
    log += [f"{seen_there.source} says: {seen_there.text[:300]}"] if seen_there else []
    sent = f"{at_once} uploads to {host} were under way at once"
    return Finding(
        runtime=runtime,
        cause=Cause.REGISTRY_OVERLOADED if overloaded else Cause.REGISTRY_ERROR,
        subject=f"{seen.process.pid}.{seen.process.start_ticks}/{verb.value} answers {host}",
        culprit=runtime_of(seen.process),
        evidence=(
            *(Evidence(Kind.LOG, text) for text in log),
            who_waits(waiting, verb),
            *([Evidence(Kind.SOCKET, sent)] if at_once > 1 else []),
        ),
        samples=rounds(answers) + (limits.refusals if any(one.final for one in answers) else 0),
        threshold=limits.refusals,
        since_ns=answers[0].at_ns,
        target=Target(endpoint=host, failures=len(answers), reason=reason),
        images=images_of(waiting),
        advice=_advice(reason, overloaded),
    )


def _is_too_much(answers: Sequence[Refusal], reason: str, at_once: int) -> bool:
    """The answer says so, or several uploads that were under way at once are refused together."""
    if answers[-1].says_too_much:
        return True
    gaps = (later.at_ns - one.at_ns for one, later in zip(answers, answers[1:]))
    return at_once > 1 and reason.startswith("5") and any(gap <= TOGETHER_NS for gap in gaps)


def _uploads_at_once(runtime: str, host: str, since_ns: int, transfers: Transfers) -> int:
    """The most layers that were seen on their way to that registry at one time."""
    ports = ports_of(host)
    ended = [one.at_once for one in transfers.uploads.ended(runtime, ports, since_ns)]
    now = sum(one.sent_bytes >= UPLOAD_BYTES for one in transfers.uploads.to(runtime, ports))
    return max([now, *ended])


def _advice(reason: str, overloaded: bool) -> Tuple[str, ...]:
    chosen = _ADVICE.get(reason, advice.OVERLOADED if overloaded else advice.SERVER_ERROR)
    return (*chosen.here, *chosen.sentences({"evidence": ""}))
