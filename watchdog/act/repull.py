"""repull: fetch again what our own kill has cost.

Only pulls that our kill ended, whose client was connected until then, that are
not here by now, and by the digest that was seen: so it never fetches what
somebody gave up, nor something newer.  Which those are the kill's own intent says,
by what the runtime's store had then: never the incident alone.  A name is given back only if nobody has
moved it since the kill.  The kubelet and swarm pull again by themselves.

An image that is here under its name was pulled; one that is not here while no
pull is under way was not.  So a killed repull can be taken up again.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Dict, List, Optional, Tuple

from watchdog.act import images, runtime
from watchdog.act.kill_decompressor import KILL_DECOMPRESSOR, Killing, LocalTag
from watchdog.act.progress import downloads_of
from watchdog.act.remedy import DECOMPRESSOR_CAUSES, UNTAR_CAUSES, Context, Made, Plan, RemedyCode, Trace
from watchdog.act.settings import ActSettings
from watchdog.core.observation import LedgerEntry, Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.core.pull import AffectedPull
from watchdog.core.reference import Reference, parse_reference
from watchdog.errors import Refused, WatchdogError
from watchdog.host import proc

PULL_AGAIN_BY_THEMSELVES = frozenset({"kubelet", "cri-dockerd", "dockerd"})
_ACCEPTED_WITHIN_S = 30.0
_SILENCE_S = 600.0  # a pull may wait for others' downloads without a word
_LEFT_FOR_RESULT_S = 10.0


@dataclass(frozen=True)
class OwedImage:
    """One image to be here again.  `id_before`: what its name meant before the kill."""

    image: str
    digest: str
    platform: Optional[str] = None
    id_before: Optional[str] = None


@dataclass(frozen=True)
class Repulling:
    """The images that this action brings back."""

    owed: Tuple[OwedImage, ...]


class Here(Enum):
    """How much of an owed image is here."""

    NOTHING = "nothing"
    UNNAMED = "unnamed"
    ALL = "all"


def plan(context: Context) -> Plan[Repulling]:
    """Find what is owed and still missing."""
    before = _tags_before_kill(context)
    _running_key(context.settings)
    owed, skipped = _sort_out(context, before)
    if not owed:
        raise Refused("nothing to pull again: " + ("; ".join(skipped) or "the kill has cost no pull"))
    steps = [f"pull {one.image} again, by {one.digest}" for one in owed]
    return Plan(steps=(*steps, *skipped), memory=Repulling(tuple(owed)), culprit=context.incident.culprit.key)


def effect(context: Context, intended: Plan[Repulling]) -> Made:
    """Ask for all of them at once, then wait for each and give it its name."""
    orders = [_Order(context.settings, one) for one in intended.memory.owed]
    for one in orders:
        one.thread.start()
    for one in orders:
        one.accepted.wait(_ACCEPTED_WITHIN_S)
    context.watching()
    for one in orders:
        one.thread.join()
    succeeded = all(one.succeeded for one in orders)
    text = "; ".join(f"{one.owed.image}: {one.said}" for one in orders)
    result = {one.owed.image: {"here": one.succeeded, "said": one.said} for one in orders}
    return Made(Outcome.DONE if succeeded else Outcome.FAILED, text, {"pulls": result})


def trace(context: Context, memory: Repulling) -> Trace:
    """What is missing may be pulled, once no pull is under way that could still bring it."""
    key = _running_key(context.settings)
    if all(how_much(context.settings, one) is Here.ALL for one in memory.owed):
        return Trace.MADE
    with proc.open_process(key) as daemon:
        if downloads_of(daemon):
            raise Refused("an earlier repull was cut short, and a pull is under way that may be it")
    return Trace.NONE


def how_much(settings: ActSettings, owed: OwedImage) -> Here:
    """How much of an owed image is here now.  Raises Unavailable when the runtime does not say."""
    reference = _reference(owed.image)
    pulled = images.find(settings, f"{reference.repository}@{owed.digest}")
    if pulled is None:
        return Here.NOTHING
    if reference.tag is None:
        return Here.ALL
    named = images.find(settings, owed.image)
    return Here.UNNAMED if named == owed.id_before != pulled else Here.ALL


class _Order:
    """One pull on a connection and a thread of its own."""

    def __init__(self, settings: ActSettings, owed: OwedImage) -> None:
        self.owed = owed
        self.accepted = threading.Event()
        self.succeeded = False
        self.said = ""
        self.thread = threading.Thread(target=self._run, args=(settings,), name=owed.image, daemon=True)

    def _run(self, settings: ActSettings) -> None:
        try:
            self.said = self._fulfil(settings)
            self.succeeded = True
        except WatchdogError as error:
            self.said = str(error)
        finally:
            self.accepted.set()

    def _fulfil(self, settings: ActSettings) -> str:
        reference = _reference(self.owed.image)
        if how_much(settings, self.owed) is Here.NOTHING:
            total_s = settings.deadlines_ns[Remedy.REPULL] / 1e9 - _LEFT_FOR_RESULT_S
            images.pull(
                settings,
                reference.repository,
                self.owed.digest,
                self.owed.platform,
                images.Deadlines(min(_SILENCE_S, total_s), total_s),
                self.accepted.set,
            )
        return _give_name(settings, self.owed, reference)


def _give_name(settings: ActSettings, owed: OwedImage, reference: Reference) -> str:
    """Name it as the ended pull would have, unless somebody gave that name away since."""
    by_digest = f"{reference.repository}@{owed.digest}"
    if reference.tag is None:
        return "pulled"
    named, pulled = images.find(settings, owed.image), images.find(settings, by_digest)
    if named == pulled:
        return "pulled, and named so already"
    if named != owed.id_before:
        return f"pulled; the name means another image by now and is left alone (use {by_digest})"
    images.tag(settings, by_digest, reference)
    return "pulled and named"


def _sort_out(context: Context, before: Dict[str, LocalTag]) -> Tuple[List[OwedImage], List[str]]:
    """The images to pull, and for each other pull why it is left alone."""
    owed: Dict[str, OwedImage] = {}
    skipped: List[str] = []
    for one in context.incident.owed:
        known = before.get(one.pull.image)
        reason = _reason_against(one.pull, known)
        if one.satisfied:
            reason = reason or "has gone on by itself"
        if reason or known is None:
            skipped.append(f"{one.pull.image} {reason}")
            continue
        wanted = OwedImage(one.pull.image, known.digest, one.pull.platform, known.image_id)
        if how_much(context.settings, wanted) is Here.ALL:
            skipped.append(f"{one.pull.image} is here already")
        else:
            owed[f"{wanted.image} {wanted.platform}"] = wanted
    return list(owed.values()), skipped


def _reason_against(pull: AffectedPull, before: Optional[LocalTag]) -> str:
    if not pull.connected:
        return "had been given up by its client"
    if pull.digest is None:
        return "is known by name only: which digest it meant was not seen"
    if pull.client is not None and proc.is_alive(pull.client):
        return f"is still being pulled by its client (pid {pull.client.pid})"
    if before is None or before.digest != pull.digest:
        return "was not under way when we killed, as far as could be seen"
    if before.client in PULL_AGAIN_BY_THEMSELVES:
        return f"is pulled again by {before.client} itself"
    return ""


def _tags_before_kill(context: Context) -> Dict[str, LocalTag]:
    """What the names meant before our kill; Refused when no kill of ours ended these pulls."""
    kills = [
        one
        for one in context.earlier(Remedy.KILL_DECOMPRESSOR, "result")
        if one.incident == context.incident.id and one.outcome in (Outcome.DONE, Outcome.EXPIRED)
    ]
    if not kills:
        raise Refused("no kill of ours has ended these pulls")
    actions = {one.action for one in kills}
    intents = [one for one in context.entries if one.phase == "intent" and one.action in actions]
    return {tag.image: tag for intent in intents for tag in _memory(intent).tags}


def _memory(intent: LedgerEntry) -> Killing:
    return KILL_DECOMPRESSOR.remembered(intent)


def _reference(image: str) -> Reference:
    reference = parse_reference(image)
    if reference is None:
        raise Refused(f'"{image}" is no name of an image')
    return reference


def _running_key(settings: ActSettings) -> ProcessKey:
    """The runtime's process.  Without one nothing is asked: a question would start an activated one."""
    key = runtime.current_key(settings)
    if key is None:
        raise Refused(f"the runtime {settings.runtime.name} does not run")
    return key


REPULL = RemedyCode(
    name=Remedy.REPULL,
    causes=DECOMPRESSOR_CAUSES | UNTAR_CAUSES,
    memory=Repulling,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="an image that was pulled is what its client had asked for; remove it with docker rmi",
)
