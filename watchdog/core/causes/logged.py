"""What a log line names and only people can mend: a limit, a password, a name, a full disk.

Nothing is repeated or changed for these; whose turn it is is told.

Law: a line alone confirms nothing.  It counts where something else agrees with
it at that moment: the client that asked has left without its image, or the
runtime had a connection then.  What anybody may mistype counts only when it
comes again: a person's failed pull is that person's, and nobody is woken for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

from watchdog.core.agreement import is_open
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.diagnosis import ADVICE_BY_KIND
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.observation import Api, ProcessSample
from watchdog.core.policy import SECOND_NS, Remedy
from watchdog.core.reference import DEFAULT_REGISTRY, Reference, parse_reference
from watchdog.core.symptom import SymptomKind
from watchdog.core.target import Target
from watchdog.core.told import Told
from watchdog.core.world import World

QUIET_NS = 3600 * SECOND_NS  # an hour without it, and it is over
OUR_KILL_NS = 30 * SECOND_NS  # between a kill of ours and the runtime's word of the layer that it ended
ONE_FAILURE_NS = 8 * SECOND_NS  # lines so near to each other are of one pull; the kubelet waits 10 s at least

_NO_SUCH_HOST, _RESOLVER = "no such host", "resolver"
_LINE_CHARS = 600
# Who pulls; the log of a registry or of a proxy tells what others asked it for, too.
_OF_A_CLIENT = re.compile(
    "PullImage|ErrImagePull|ImagePullBackOff|pull(?:ing)? (?:and unpack )?image", re.IGNORECASE
)
_OF_PUSH = re.compile("Upload failed|\\bpush")
_SERIOUS = ("error", "fatal", "")  # what is only a warning is followed by another endpoint


@dataclass(frozen=True)
class _Manner:
    """`times`: how often it must fail.

    `final`: whether it counts only where no other endpoint is asked.  dockerd 20.10
    says that it asks the next one even where there is none, and then nothing more.
    """

    kind: SymptomKind
    times: int
    final: bool = True


_MANNERS: Mapping[Cause, _Manner] = {
    Cause.RATE_LIMITED: _Manner(SymptomKind.RATE_LIMITED, 1),
    Cause.AUTH: _Manner(SymptomKind.AUTH, 3),
    Cause.NOT_FOUND: _Manner(SymptomKind.NOT_FOUND, 3),
    Cause.DNS: _Manner(SymptomKind.DNS, 3),
    Cause.TLS: _Manner(SymptomKind.TLS, 3),
    Cause.DISK_FULL: _Manner(SymptomKind.DISK_FULL, 1, final=False),
    Cause.INTEGRITY: _Manner(SymptomKind.INTEGRITY, 1, final=False),
}
_OF_A_REGISTRY = (Cause.RATE_LIMITED, Cause.DNS, Cause.TLS)


@dataclass(frozen=True)
class _Failure:
    """A line about a pull or push that failed.  `where`: what the fault is of."""

    told: Told
    where: str
    image: str


def logged(runtime: str, world: World) -> List[Finding]:
    """What the logs of the last hour name, where something beside them agrees."""
    daemon = _daemon(runtime, world)
    young = [one for one in world.told.get(runtime, ()) if one.at_ns > world.now_ns - QUIET_NS]
    lines = [one for one in young if one.source == runtime or _OF_A_CLIENT.search(one.text)]
    if daemon is None or not lines:
        return []
    found = (_find(runtime, cause, manner, lines, daemon, world) for cause, manner in _MANNERS.items())
    return [finding for findings in found for finding in findings]


def _find(
    runtime: str, cause: Cause, manner: _Manner, lines: Sequence[Told], daemon: ProcessSample, world: World
) -> List[Finding]:
    told = [one for one in lines if one.symptom.kind is manner.kind and (_is_final(one) or not manner.final)]
    if cause is Cause.INTEGRITY:
        told = [one for one in told if not _is_of_our_kill(one, runtime, world)]
    if cause is Cause.RATE_LIMITED:  # a push is limited because it is too much for the registry
        told = [one for one in told if not _OF_PUSH.search(one.text)]
    by_where: Dict[str, List[_Failure]] = {}
    for failure in (_failure(cause, one) for one in told):
        if failure.where or not is_open(failure.told, world.now_ns):  # its client may still tell where
            by_where.setdefault(failure.where, []).append(failure)
    return [
        _finding(runtime, cause, where, which, daemon)
        for where, which in by_where.items()
        if _count(which) >= manner.times
        and any(one.told.agrees for one in which)
        and not _was_mended(runtime, cause, which[-1], world)
    ]


def _is_of_our_kill(one: Told, runtime: str, world: World) -> bool:
    """A layer whose decompressor we killed broke off, and the runtime says so."""
    kill = Remedy.KILL_DECOMPRESSOR.value
    if any(action.remedy == kill for action in world.in_flight.values()):
        return True
    said_wall_ns = world.wall_ns(one.at_ns)
    intents = (entry for entry in world.ledger.entries if entry.phase == "intent" and entry.remedy == kill)
    return any(
        entry.runtime == runtime and abs(said_wall_ns - entry.wall_ns) <= OUR_KILL_NS for entry in intents
    )


def _is_final(one: Told) -> bool:
    """Whether it is about the end of an attempt, and not about a mirror that another endpoint follows."""
    return one.symptom.level in _SERIOUS and "next endpoint" not in one.text


def _count(failures: Iterable[_Failure]) -> int:
    """How many pulls failed: each writes several lines, and several logs tell of it."""
    count, last_ns = 0, None
    for at_ns in sorted(one.told.at_ns for one in failures):
        if last_ns is None or at_ns - last_ns > ONE_FAILURE_NS:
            count += 1
        last_ns = at_ns
    return count


def _failure(cause: Cause, told: Told) -> _Failure:
    named = _named(told)
    image = str(named) if named is not None else told.asked_for
    return _Failure(told, _where(cause, told, parse_reference(image)), image)


def _named(told: Told) -> Optional[Reference]:
    """The image that the line names; one out of the path of a request is the asked registry's."""
    image, address = told.symptom.image, told.symptom.address
    if address and image and f"{address}/v2/{image.partition(':')[0]}" in told.text:
        image = f"{address}/{image}"
    return parse_reference(image) if image else None


def _where(cause: Cause, told: Told, image: Optional[Reference]) -> str:
    """What the fault is of; the same in each line about the same fault."""
    if cause is Cause.DISK_FULL:
        return "disk"
    if cause is Cause.DNS and _NO_SUCH_HOST not in told.text:
        return _RESOLVER  # it fails for every name
    if cause in (Cause.NOT_FOUND, Cause.INTEGRITY):
        return str(image or told.symptom.digest)
    if cause is Cause.AUTH and image is not None:
        return image.repository
    registry = told.symptom.address or (image.registry if image else "")
    return DEFAULT_REGISTRY if registry.endswith(f".{DEFAULT_REGISTRY}") else registry


def _finding(
    runtime: str, cause: Cause, where: str, failures: Sequence[_Failure], daemon: ProcessSample
) -> Finding:
    agreeing = [one.told for one in failures if one.told.agrees][-1]
    newest = failures[-1].told
    kind = _MANNERS[cause].kind
    advice = ADVICE_BY_KIND[kind].filled({"evidence": ""})
    return Finding(
        runtime=runtime,
        cause=cause,
        culprit=daemon,
        evidence=(Evidence(Kind.LOG, f"{newest.source}: {newest.text[:_LINE_CHARS]}"), *agreeing.agrees),
        samples=_count(failures),
        since_ns=failures[0].told.at_ns,
        threshold=_MANNERS[cause].times,
        subject=f"{cause.value} {where}",
        target=Target(endpoint=where),
        images=tuple(dict.fromkeys(one.image for one in failures if one.image)),
        advice=(*advice.here, *advice.sentences({})),
    )


def _was_mended(runtime: str, cause: Cause, last: _Failure, world: World) -> bool:
    """Whether the image has come since, or another one whose way was the same."""
    own = last.image or "?"
    if cause is Cause.DISK_FULL or last.where == _RESOLVER:
        own = ""  # any image
    elif cause in _OF_A_REGISTRY:
        own = f"{last.where}/"
    return _has_come(runtime, own, last.told.at_ns, world)


def _has_come(runtime: str, beginning: str, since_ns: int, world: World) -> bool:
    since_wall_ns = world.wall_ns(since_ns)
    return any(
        at_wall_ns >= since_wall_ns
        and event.runtime == runtime
        and event.action == "pull"
        and event.reference.startswith(beginning)
        for at_wall_ns, event in world.image_events
    )


def _daemon(runtime: str, world: World) -> Optional[ProcessSample]:
    """The runtime's process, as the newest look showed it."""
    seen = world.runtimes.get(runtime)
    if seen is None or seen.process is None or seen.api is Api.ABSENT:
        return None
    known = world.daemons.get(runtime)
    if known is not None and known.key == seen.process:
        return known
    comm = seen.exe.path.rpartition("/")[2] if seen.exe else ""
    return ProcessSample(seen.process, parent_pid=0, comm=comm)
