"""kill_decompressor: SIGKILL to the hung decompressing stage, leaf first.

It frees the layer at a price: every live pull that shares the layer fails, and
finished layers are fetched again.  The price stands in the incident, and in the
intent.  Whatever still moves a byte is left alone.

A process that is there without a pending SIGKILL was not killed by us.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Iterator, List, Optional, Sequence, Tuple

from watchdog.act import images, sessions
from watchdog.act.identity import Subject, held, kill_is_pending
from watchdog.act.remedy import DECOMPRESSOR_CAUSES, UNTAR_CAUSES, Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.stage import Stage, held_stage
from watchdog.core.extraction import matching_blobs
from watchdog.core.observation import Outcome, ProcessKey, ProcessSample
from watchdog.core.policy import Remedy
from watchdog.core.pull import AffectedPull, by_digest
from watchdog.errors import ProcessGone, Refused
from watchdog.host import blobs

STILL_FOR_S = 0.3
_ENDS_WITHIN_S = 5.0


@dataclass(frozen=True)
class LocalTag:
    """A pull that was under way, and what its image's name meant on this host before the kill.

    `image_id` None: no local image had that name.  `client`: the comm of the
    process that pulls it, empty where that is not known.
    """

    image: str
    digest: str
    image_id: Optional[str]
    client: str = ""


@dataclass(frozen=True)
class Killing:
    """The targets in the order of their end, what it costs, and the names that a repull restores."""

    targets: Tuple[ProcessKey, ...]
    cost: str
    tags: Tuple[LocalTag, ...] = ()


def plan(context: Context) -> Plan[Killing]:
    """Check that the stage is ours, hung, and may be killed."""
    if not context.incident.belongs_to_pull:
        raise Refused("no layer of a pull belongs to it for certain: a load or a build, perhaps")
    cost = _cost(context)
    with _hung_stage(context) as (daemon, stage):
        steps = [f"send SIGKILL to {one.name}" for one in stage.members]
        return Plan(
            steps=(*steps, f"which costs: {cost}"),
            memory=Killing(stage.keys, cost, tuple(_local_tags(context, daemon))),
            culprit=context.incident.culprit.key,
        )


def effect(context: Context, intended: Plan[Killing]) -> Made:
    """Kill it, if it is the same stage and still hung."""
    with _hung_stage(context) as (_, stage):
        if stage.keys != intended.memory.targets:
            raise Refused("the decompressing stage has changed since it was looked at")
        names = ", ".join(one.name for one in stage.members)
        left = _kill(stage)
    after = f"still there {_ENDS_WITHIN_S:.0f} s later: {left}" if left else "it has ended"
    return Made(Outcome.DONE, f"SIGKILL sent to {names}; {after}", {"cost": intended.memory.cost})


def _kill(stage: Stage) -> List[int]:
    """Kill every member; returns the pids of those that are still there some seconds later."""
    for one in stage.members:
        with suppress(ProcessGone):  # a wrapper ends by itself once its program has
            one.send(signal.SIGKILL)
    limit = time.monotonic() + _ENDS_WITHIN_S
    return [one.key.pid for one in stage.members if not one.ends_within(max(0.0, limit - time.monotonic()))]


def trace(context: Context, memory: Killing) -> Trace:
    """Nothing was done where every target is alive and has no SIGKILL pending."""
    return Trace.NONE if all(_untouched(key) for key in memory.targets) else Trace.MADE


@contextmanager
def _hung_stage(context: Context) -> Iterator[Tuple[ProcessKey, Stage]]:
    incident = context.incident
    seen = incident.decompressor or incident.stage
    with ExitStack() as stack:
        daemon = stack.enter_context(held_runtime(context.settings, incident.daemon))
        stage = stack.enter_context(held_stage(daemon, seen, incident.culprit.key))
        _check_is_of_pull(context, daemon, stage, seen)
        _check_still(stage)
        yield daemon.key, stage


def _check_is_of_pull(context: Context, daemon: Subject, stage: Stage, seen: Sequence[ProcessSample]) -> None:
    """A member reads from an open download file.  None is open any more where the client has given up."""
    files = blobs.download_files(daemon.process)
    read = {key: counters.read_bytes for key, counters in stage.counters().items()}
    now = [replace(one, read_bytes=read[one.key]) for one in seen if one.key in read]
    if any(matching_blobs(one, files) for one in now):
        return
    blob = context.incident.blob
    if (blob is not None and blob.name in {one.name for one in files}) or sessions.of_clients(
        context.settings, daemon
    ):
        raise Refused("no layer of a pull belongs to it by now: a load or a build, perhaps")


def _check_still(stage: Stage) -> None:
    before = stage.counters()
    time.sleep(STILL_FOR_S)
    after = stage.counters()
    if before != after:
        raise Refused(f"it moves again: bytes passed through it within {STILL_FOR_S * 1000:.0f} ms")


def _untouched(key: ProcessKey) -> bool:
    try:
        with held(key) as subject:
            return not subject.ends_within(0) and not kill_is_pending(subject.process)
    except Refused:
        return False


def _cost(context: Context) -> str:
    affected = _pulls(context)
    pulls = ", ".join(dict.fromkeys(one.image for one in affected)) or "no pull that is known"
    sizes = {one.digest: one.layer_bytes for one in affected if one.layer_bytes is not None}
    again = f"; up to {sum(sizes.values())} bytes are fetched again" if sizes else ""
    return f"it ends {pulls}{again}"


def _pulls(context: Context) -> Tuple[AffectedPull, ...]:
    """The pulls that wait for the layer, and those that an earlier kill still owes."""
    return (*context.incident.pulls, *context.incident.carried)


def _local_tags(context: Context, daemon: ProcessKey) -> List[LocalTag]:
    """The pulls that it ends, and what their names mean now.

    A repull goes by this list: no incident can name an image to it that nobody
    pulled, and no tag is moved that somebody else has moved.
    """
    under_way = images.under_way(context.settings, daemon)
    tags = []
    for pull in _pulls(context):
        known, image_id = images.local_id(context.settings, pull.image)
        if not known:
            break  # a silent runtime is asked once
        if pull.digest and {by_digest(pull), f"@{pull.digest}"} & under_way:
            tags.append(LocalTag(pull.image, pull.digest or "", image_id, images.client_name(pull.client)))
    return tags


KILL_DECOMPRESSOR = RemedyCode(
    name=Remedy.KILL_DECOMPRESSOR,
    causes=DECOMPRESSOR_CAUSES | UNTAR_CAUSES,
    memory=Killing,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="a killed process does not come back; repull fetches what its end has cost",
)
