"""reset_connection: end the one silent connection of a layer, so that dockerd asks anew.

dockerd takes the abort as a failed attempt, waits five seconds, and asks for the
rest of the layer from the exact byte: nothing is lost but an attempt.  So it is
done only while attempts are left after it, never the last one, only in the layer
phase (a manifest's request that is reset ends its pull), and only where it is
certain that the connection is a layer's.

The kernel's cookie names the socket and is never given again.  A socket with
that cookie that is still up was not reset; one that is gone was, or has ended by
itself: either way there is nothing to repeat.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from watchdog.act.identity import Subject
from watchdog.act.remedy import Made, Plan, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.act.socket_destroy import destroy
from watchdog.core.causes.download import SPARE_ATTEMPTS, is_loopback, port_of
from watchdog.core.feeding import FRESH_BYTES, is_fresh
from watchdog.core.observation import BlobSample, ConnectionSample, Outcome, ProcessKey, ProcessSample
from watchdog.core.transfer import is_written
from watchdog.errors import ProcessGone, Refused
from watchdog.host import blobs, proc, tcp
from watchdog.host.proc import Process
from watchdog.host.tcp import TcpLook

STILL_FOR_S = 1.0
ALLOWED_UNKNOWN = 1  # resets of a layer whose number of attempts nobody has told


@dataclass(frozen=True)
class Target:
    """What an incident says of the download that stands still.

    `attempts` is m of dockerd's "retrying (n/m)", None where it was not told;
    `failures` are the attempts that have failed, resets of ours among them;
    `resets` are ours alone.  `registry_ports`: those that the images name for a
    registry on this machine.  `older`: inodes of connections that were there
    before the layer was asked for, so are none of its requests.
    """

    daemon: ProcessSample
    blob: BlobSample
    connection: ConnectionSample
    attempts: Optional[int]
    failures: int
    resets: int
    registry_ports: Tuple[int, ...] = ()
    older: Tuple[int, ...] = ()

    @property
    def waits_for_header(self) -> bool:
        """Nothing of a layer has come on this connection."""
        return is_fresh(self.connection)


@dataclass(frozen=True)
class Resetting:
    """The connection at the intent: the kernel's name of it, and who held it."""

    daemon: ProcessKey
    cookie: int
    inode: int
    remote: str


def plan(settings: ActSettings, target: Target) -> Plan[Resetting]:
    """Check that the connection is the layer's, silent, and may be reset."""
    check_attempts(target)
    check_peer(target)
    with held_runtime(settings, target.daemon) as daemon:
        seen = _check_live(daemon.process, target)
        assert seen.cookie is not None
        return Plan(
            steps=(
                f"reset the connection {seen.local} to {seen.remote} of {daemon.name}; "
                f"the download goes on at byte {target.blob.size_bytes}",
            ),
            memory=Resetting(daemon.key, seen.cookie, seen.inode, seen.remote),
            culprit=daemon.key,
        )


def effect(settings: ActSettings, target: Target, intended: Plan[Resetting]) -> Made:
    """Reset it, if it is the same connection and still silent."""
    with held_runtime(settings, target.daemon) as daemon:
        seen = _check_live(daemon.process, target)
        _check_still(daemon, target, seen)
        memory = intended.memory
        if (seen.cookie, seen.inode) != (memory.cookie, memory.inode):
            raise Refused(f"the connection to {memory.remote} is another one by now")
        destroy(memory.cookie, memory.inode)
        name = daemon.name
    return Made(Outcome.DONE, f"the connection {seen.local} to {seen.remote} of {name} was reset")


def trace(memory: Resetting) -> Trace:
    """Nothing was done where the runtime still has that very socket."""
    try:
        with proc.open_process(memory.daemon) as process:
            there = any(one.cookie == memory.cookie for one in tcp.look(process).opened)
    except ProcessGone:
        return Trace.MADE  # with it its sockets have ended
    return Trace.NONE if there else Trace.MADE


# --- what an incident must allow ---------------------------------------------------------


def check_attempts(target: Target) -> None:
    """Refused where a reset could be the end of the pull."""
    if target.attempts is None:
        if target.resets >= ALLOWED_UNKNOWN or target.failures >= ALLOWED_UNKNOWN:
            raise Refused("how many attempts the runtime makes is not known, and one has failed already")
        return
    left = target.attempts - target.failures - SPARE_ATTEMPTS
    if left <= 0:
        raise Refused(
            f"{target.failures} of {target.attempts} attempts have failed: another could end the pull"
        )


def check_peer(target: Target) -> None:
    """Refused before the first byte of a proxy on this machine, and a second time before any."""
    if not target.waits_for_header:
        return
    remote = target.connection.remote
    if is_loopback(remote) and port_of(remote) not in target.registry_ports:
        raise Refused(f"{remote} is a proxy on this machine, which may fetch the whole layer first")
    if target.resets:
        raise Refused("a request without an answer was reset once already")


# --- what the live machine must show -----------------------------------------------------


def _check_live(process: Process, target: Target) -> ConnectionSample:
    """The connection as it is now.  Refused when anything moved, or it may not be the layer's."""
    if not tcp.shares_our_network(process):
        raise Refused("the runtime lives in another network namespace, which a reset does not reach")
    files = blobs.download_files(process)
    seen = tcp.look(process)
    one = next((each for each in seen.opened if each.cookie == target.connection.cookie), None)
    if target.connection.cookie is None or one is None:
        raise Refused(f"the connection to {target.connection.remote} is gone")
    _check_unmoved(files, one, target)
    if target.waits_for_header:
        _check_uncontested(files, seen, target)
    return one


def _check_unmoved(files: Sequence[BlobSample], one: ConnectionSample, target: Target) -> None:
    file = next((each for each in files if each.name == target.blob.name), None)
    if file is None:
        raise Refused(f"{target.blob.name} is gone: the layer has come or was given up")
    if file != target.blob or one.received_bytes != target.connection.received_bytes:
        raise Refused("it moves again: bytes have come since it was looked at")
    if one.receive_queue_bytes:
        raise Refused(f"{one.receive_queue_bytes} bytes wait here unread: the peer is not at fault")
    if one.state != tcp.ESTABLISHED:
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
