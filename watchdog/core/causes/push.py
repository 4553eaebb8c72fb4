"""Why a push does not get on: a registry that does not answer, or a layer that is sent again and again.

Measured with dockerd 20.10: a push waits for an answer without any limit, and
goes on waiting when its client has gone.  Whoever pushes the same layer to the
same repository later joins that wait, and opens no connection of its own.

Law: slow is not hung.  A request whose bytes still move, or leave our own queue,
is being sent.  A large layer may take long to be kept.  Nothing is done here:
told only.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

from watchdog.core.advice import registry as advice
from watchdog.core.causes.download import runtime_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.causes.registry import by_registry, images_of, of_host, who_waits
from watchdog.core.demand import Demand, Waiting, ports_of, registry_of
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.policy import Thresholds
from watchdog.core.refusal import Refusal, Verb, refusals, rounds
from watchdog.core.target import Target, is_fresh
from watchdog.core.tcp import ESTABLISHED
from watchdog.core.transfer import Transfers
from watchdog.core.upload import Request, Upload
from watchdog.core.world import World

REQUEST_BYTES = 100  # the shortest request is longer
KEPT_BYTES_PER_S = 50_000_000  # how fast a registry's storage copies a layer that it is to keep


def failing_pushes(
    runtime: str, world: World, transfers: Transfers, demand: Demand, limits: Thresholds
) -> List[Finding]:
    """push_commit_stalled and push_retry_loop: at most one of each for a registry."""
    by_host = by_registry(demand.pushes)
    found: List[Optional[Finding]] = []
    for host, pushes in sorted(by_host.items()):
        connected = [one for one in pushes if one.client.connected is not False]
        if transfers.fresh(runtime, world.now_ns) and connected and not _waits_for_disk(runtime, world):
            found.append(_stalled(runtime, host, connected, transfers, demand, limits))
        found.append(_loop(runtime, host, by_host, world, transfers, limits))
    return [one for one in found if one is not None]


def _waits_for_disk(runtime: str, world: World) -> bool:
    """A layer that cannot be read is not sent either, and looks the same on the wire."""
    daemon = world.daemons.get(runtime)
    return daemon is not None and "D" in daemon.states


# --- no answer ---------------------------------------------------------------------------


def _stalled(
    runtime: str,
    host: str,
    pushes: Sequence[Waiting],
    transfers: Transfers,
    demand: Demand,
    limits: Thresholds,
) -> Optional[Finding]:
    ports, since_ns = ports_of(host), min(one.since_ns for one in pushes)
    silent = [one for one in transfers.uploads.to(runtime, ports) if _is_unanswered(one)]
    silent = [one for one in silent if not _may_be_a_pulls(one, demand)]
    if not silent:
        return None
    theirs = [one for one in silent if one.began_ns is not None and one.began_ns >= since_ns]
    oldest, is_theirs = max(theirs or silent, key=lambda one: one.samples), bool(theirs)
    # An older one stands behind these pushes only if nothing else of theirs is under way.
    quiet = (
        oldest.samples if is_theirs else min(oldest.samples, transfers.uploads.quiet_samples(runtime, ports))
    )
    largest = max((one.sent_bytes for one in transfers.uploads.ended(runtime, ports, since_ns)), default=0)
    daemon = transfers.scans[runtime].daemon
    return Finding(
        runtime=runtime,
        cause=Cause.PUSH_COMMIT_STALLED,
        subject=f"{daemon.pid}.{daemon.start_ticks}/push {host}",
        culprit=runtime_of(daemon),
        evidence=(_silence(oldest, len(silent), is_theirs), who_waits(pushes, Verb.PUSH)),
        samples=quiet,
        threshold=limits.push_commit + largest // KEPT_BYTES_PER_S,
        since_ns=oldest.since_ns,
        target=Target(connection=oldest.sample, endpoint=host, reason="no_answer"),
        images=images_of(pushes),
        advice=(_how_to_free(oldest), *advice.QUOTA_LOCK.sentences({"evidence": ""})),
    )


def _is_unanswered(one: Request) -> bool:
    """All of it was sent and acknowledged, and no answer has come."""
    seen = one.sample
    return (
        one.samples > 0
        and seen.state == ESTABLISHED
        and one.sent_bytes >= REQUEST_BYTES
        and seen.send_queue_bytes == 0
        and seen.receive_queue_bytes == 0
        and is_fresh(seen)
    )


def _may_be_a_pulls(one: Request, demand: Demand) -> bool:
    """A pull asks the same registry in the same way."""
    pulls = [
        each for each in demand.waiting if ports_of(registry_of(each.client)) & ports_of(one.sample.remote)
    ]
    return any(one.began_ns is None or one.began_ns >= each.since_ns for each in pulls)


def _silence(one: Request, count: int, is_theirs: bool) -> Evidence:
    sent = f"{one.sent_bytes} bytes were sent and acknowledged"
    text = f"the connection {one.sample.local} to {one.sample.remote} is up: {sent}, no answer has come"
    text += f", and nothing has moved in {one.samples} samples"
    if not is_theirs:
        text += "; it may be older than who waits now: a push whose client left goes on in the runtime"
    return Evidence(Kind.SOCKET, text + (f"; {count - 1} more like it" if count > 1 else ""))


def _how_to_free(one: Request) -> str:
    address, _, port = one.sample.remote.rpartition(":")
    ours = one.sample.local.rpartition(":")[2]
    return (
        f"On this node: `ss -tK dst {address.strip('[]')} dport = :{port} sport = :{ours}` ends that one "
        "request. dockerd sends a layer again by itself; a manifest's request ends its push, which finds "
        "its layers there when it is made again. To end the client frees nothing: dockerd waits on, and "
        "whoever pushes the same layer joins the wait."
    )


# --- again and again ---------------------------------------------------------------------


def _loop(
    runtime: str,
    host: str,
    by_host: Mapping[str, Sequence[Waiting]],
    world: World,
    transfers: Transfers,
    limits: Thresholds,
) -> Optional[Finding]:
    """Uploads that end without an answer of the registry."""
    pushes, seen = by_host[host], world.runtimes.get(runtime)
    since_ns = min(one.since_ns for one in pushes)
    told = of_host(refusals(runtime, world, Verb.PUSH, since_ns), host, list(by_host))
    broken = [one for one in told if one.is_cut]
    if not broken or seen is None or seen.process is None:
        return None
    daemon, ended = seen.process, transfers.uploads.ended(runtime, ports_of(host), since_ns)
    return Finding(
        runtime=runtime,
        cause=Cause.PUSH_RETRY_LOOP,
        subject=f"{daemon.pid}.{daemon.start_ticks}/push again {host}",
        culprit=runtime_of(daemon),
        evidence=(_told(broken), who_waits(pushes, Verb.PUSH), *_sent_again(ended)),
        samples=rounds(broken),
        threshold=limits.cuts,
        since_ns=broken[0].at_ns,
        target=Target(endpoint=host, failures=len(broken), reason=broken[-1].symptom.kind.value),
        images=images_of(pushes),
        advice=(*advice.PUSH_RETRY_LOOP.here, *advice.PUSH_RETRY_LOOP.sentences({"evidence": ""})),
    )


def _told(broken: Sequence[Refusal]) -> Evidence:
    return Evidence(Kind.LOG, f"the runtime says, {len(broken)} times, lastly: {broken[-1].error}")


def _sent_again(ended: Sequence[Upload]) -> Tuple[Evidence, ...]:
    if len(ended) < 2:
        return ()
    sizes = ", ".join(str(one.sent_bytes) for one in ended[-4:])
    return (Evidence(Kind.SOCKET, f"{len(ended)} uploads to {ended[-1].remote} have ended: {sizes} bytes"),)
