"""reset_connection: end the one silent connection of a layer, so that dockerd asks anew.

dockerd takes the abort as a failed attempt, waits five seconds, and asks for the
rest of the layer from the exact byte: nothing is lost but an attempt.  So it is
done only while attempts are left after it, never the last one, only in the layer
phase (a manifest's request that is reset ends its pull), and only where it is
certain that the connection is a layer's.  Our own resets of a layer are counted in
the ledger too, and for how long the peer has been silent the kernel says.

The kernel's cookie names the socket and is never given again.  A socket with
that cookie that is still up was not reset; one that is gone was, or has ended by
itself: either way there is nothing to repeat.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import List, Sequence, Tuple

from watchdog.act.identity import Subject
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.socket_destroy import destroy
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import BlobSample, ConnectionSample, Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.core.target import FRESH_BYTES, Target, is_fresh, why_no_reset
from watchdog.core.tcp import ESTABLISHED
from watchdog.core.transfer import is_written
from watchdog.errors import ProcessGone, Refused
from watchdog.host import blobs, proc, tcp
from watchdog.host.dockerd_settings import read_settings
from watchdog.host.proc import Process
from watchdog.host.tcp import TcpLook

STILL_FOR_S = 1.0


@dataclass(frozen=True)
class Resetting:
    """The connection at the intent: the kernel's name of it, who held it, and the layer's file."""

    daemon: ProcessKey
    cookie: int
    inode: int
    remote: str
    blob: str = ""


def plan(context: Context) -> Plan[Resetting]:
    """Check that the connection is the layer's, silent, and may be reset."""
    target, file, _ = _named(context)
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        seen = _check_live(daemon.process, target)
        _check_silent(context, seen)
        assert seen.cookie is not None
        return Plan(
            steps=(
                f"reset the connection {seen.local} to {seen.remote} of {daemon.name}; "
                f"the download goes on at byte {file.size_bytes}",
            ),
            memory=Resetting(daemon.key, seen.cookie, seen.inode, seen.remote, file.name),
            culprit=daemon.key,
        )


def effect(context: Context, intended: Plan[Resetting]) -> Made:
    """Reset it, if it is the same connection and still silent."""
    target, _, _ = _named(context)
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        seen = _check_live(daemon.process, target)
        _check_still(daemon, target, seen)
        memory = intended.memory
        if (seen.cookie, seen.inode) != (memory.cookie, memory.inode):
            raise Refused(f"the connection to {memory.remote} is another one by now")
        destroy(memory.cookie, memory.inode)
        name = daemon.name
    return Made(Outcome.DONE, f"the connection {seen.local} to {seen.remote} of {name} was reset")


def trace(context: Context, memory: Resetting) -> Trace:
    """Nothing was done where the runtime still has that very socket."""
    try:
        with proc.open_process(memory.daemon) as process:
            there = any(one.cookie == memory.cookie for one in tcp.look(process).opened)
    except ProcessGone:
        return Trace.MADE  # with it its sockets have ended
    return Trace.NONE if there else Trace.MADE


def _named(context: Context) -> Tuple[Target, BlobSample, ConnectionSample]:
    """What the incident names, if that may be reset; Refused otherwise."""
    named = context.incident.target
    if named is None or named.blob is None or named.connection is None:
        raise Refused("the incident names no connection that is certainly a layer's")
    target = _counted(context, named, named.blob)
    why = why_no_reset(target)
    if why:
        raise Refused(why)
    return target, named.blob, named.connection


def _counted(context: Context, target: Target, file: BlobSample) -> Target:
    """The target with no fewer attempts spent than the ledger and the runtime's own settings tell."""
    daemon = context.incident.daemon
    ours = sum(daemon is not None and one.daemon == daemon.key for one in _earlier(context, file.name))
    limit = read_settings(daemon.key).attempts if daemon is not None else None
    attempts = target.attempts if limit is None or target.attempts is None else min(limit, target.attempts)
    return replace(
        target, resets=max(target.resets, ours), failures=max(target.failures, ours), attempts=attempts
    )


def _earlier(context: Context, file: str) -> List[Resetting]:
    """Our resets of that layer, those included of which nobody knows whether they were made."""
    results = context.earlier(Remedy.RESET_CONNECTION, "result")
    untouched = {one.action for one in results if one.outcome is Outcome.REFUSED}
    intents = context.earlier(Remedy.RESET_CONNECTION, "intent")
    made = [RESET_CONNECTION.remembered(one) for one in intents if one.action not in untouched]
    return [one for one in made if one.blob == file]


# --- what the live machine must show -----------------------------------------------------


def _check_live(process: Process, target: Target) -> ConnectionSample:
    """The connection as it is now.  Refused when anything moved, or it may not be the layer's."""
    if not tcp.shares_our_network(process):
        raise Refused("the runtime lives in another network namespace, which a reset does not reach")
    files = blobs.download_files(process)
    seen = tcp.look(process)
    known = target.connection
    assert known is not None and target.blob is not None
    one = next((each for each in seen.opened if each.cookie == known.cookie), None)
    if known.cookie is None or one is None:
        raise Refused(f"the connection to {known.remote} is gone")
    _check_unmoved(files, one, target.blob, known)
    if target.waits_for_header:
        _check_uncontested(files, seen, target)
    return one


def _check_silent(context: Context, one: ConnectionSample) -> None:
    """Before the first byte the kernel does not know since when; then the requests are counted instead."""
    if one.silent_ns is not None and one.silent_ns < context.settings.silence_ns:
        raise Refused(f"its last byte came {one.silent_ns / 1e9:.0f} s ago: that is no stall yet")


def _check_unmoved(
    files: Sequence[BlobSample], one: ConnectionSample, file_then: BlobSample, then: ConnectionSample
) -> None:
    file = next((each for each in files if each.name == file_then.name), None)
    if file is None:
        raise Refused(f"{file_then.name} is gone: the layer has come or was given up")
    if file != file_then or one.received_bytes != then.received_bytes:
        raise Refused("it moves again: bytes have come since it was looked at")
    if one.receive_queue_bytes:
        raise Refused(f"{one.receive_queue_bytes} bytes wait here unread: the peer is not at fault")
    if one.state != ESTABLISHED:
        raise Refused(f"the connection to {one.remote} is being closed")


def _check_uncontested(files: Sequence[BlobSample], seen: TcpLook, target: Target) -> None:
    """Refused unless every connection that waits for a first byte must be a layer's."""
    waiting = [one for one in seen.opened if is_fresh(one) and one.inode not in target.older]
    empty = [one for one in files if one.size_bytes < FRESH_BYTES and is_written(one)]
    if not seen.complete or len(waiting) > len(empty):
        raise Refused(
            f"{len(waiting)} connections wait for a first byte and {len(empty)} layers do: "
            "one may be a manifest's, and to reset that would end its pull"
        )


def _check_still(daemon: Subject, target: Target, before: ConnectionSample) -> None:
    """A last look: nothing may have come in the second before."""
    time.sleep(STILL_FOR_S)
    after = _check_live(daemon.process, target)
    if after.received_bytes != before.received_bytes:
        raise Refused(f"it moves again: bytes have come within {STILL_FOR_S * 1000:.0f} ms")


RESET_CONNECTION = RemedyCode(
    name=Remedy.RESET_CONNECTION,
    causes=frozenset({Cause.DOWNLOAD_STALLED, Cause.HEADER_WAIT}),
    memory=Resetting,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="the runtime has asked for the rest of the layer on another connection",
)
