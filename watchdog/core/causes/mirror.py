"""mirror_failing: a mirror of docker.io that is silent, or fails again and again.

What dockerd does by itself (seen with 20.10): it passes over a mirror that refuses,
has no name or no certificate, or answers an error to the first requests, within
a second; one that is silent to the very first request costs 15 s a pull; one that
fails the layers costs six attempts, 75 s; one that is silent to a later request
holds its pull for ever.

Law: a mirror that moves bytes does not fail, however slowly.  A line of the log
counts for a mirror that it names, or beside a connection to the mirror in that
moment and to nobody else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from watchdog.core.causes.download import runtime_of
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.demand import Demand
from watchdog.core.download import Phase
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.history import History
from watchdog.core.mirror import bypassed, last_change_wall_ns
from watchdog.core.observation import ConnectionSample, MirrorSeen, ProcessKey, TcpEvent
from watchdog.core.policy import SECOND_NS, Thresholds
from watchdog.core.reference import DEFAULT_REGISTRY, parse_reference
from watchdog.core.symptom import SymptomKind
from watchdog.core.symptoms.log_format import parse
from watchdog.core.target import Target, is_fresh, is_loopback, port_of
from watchdog.core.tcp import CLOSE, ESTABLISHED, SYN_SENT
from watchdog.core.told import Told
from watchdog.core.transfer import Transfers
from watchdog.core.world import World

_COUNTS_FOR_NS = 600 * SECOND_NS
_NEAR_NS = 2 * SECOND_NS
_AFTER_NS = 50_000_000  # two clocks are compared
_PASSED_OVER = "Attempting next endpoint for pull"
_REASONS = {
    SymptomKind.NET_REFUSED: "refused",
    SymptomKind.NET_TIMEOUT: "hangs",
    SymptomKind.SERVER_ERROR: "5xx",
    SymptomKind.TLS: "tls",
    SymptomKind.DNS: "dns",
}
NO_COST = "dockerd passes it over by itself within a second"


def failing_mirrors(
    runtime: str, world: World, transfers: Transfers, demand: Demand, limits: Thresholds
) -> List[Finding]:
    """Every mirror of a runtime that is in its list and fails."""
    seen = world.runtimes[runtime]
    if seen.process is None or not seen.mirrors:
        return []
    # The runtime tells its list every two minutes only; what we have taken out of it is not in use.
    out = {one.endpoint for one in bypassed(_history(world)) if one.runtime == runtime}
    urls = [one for one in seen.mirrors if one not in out]
    mirrors = [one for one in world.mirrors.values() if one.runtime == runtime and one.url in urls]
    looks = [_Look(one, seen.process, world, transfers) for one in mirrors]
    found = [_silent(one, demand, limits) or _fails(one, demand, limits) for one in looks]
    return [_careful(one, look, demand) for look, one in zip(looks, found) if one is not None]


class _Look:
    """One mirror, and what is seen of it now."""

    def __init__(self, mirror: MirrorSeen, daemon: ProcessKey, world: World, transfers: Transfers) -> None:
        self.mirror = mirror
        self.daemon = daemon
        self.world = world
        self.transfers = transfers
        fresh = transfers.fresh(mirror.runtime, world.now_ns)
        scan = transfers.scans.get(mirror.runtime) if fresh else None
        connections = scan.connections if scan is not None else ()
        self.connections = [one for one in connections if one.remote in mirror.addresses]
        self._dials = [
            one
            for one in world.tcp
            if one.pid == daemon.pid and one.what == "state" and one.old_state == SYN_SENT
        ]

    def quiet_samples(self, one: ConnectionSample) -> int:
        return self.transfers.quiet_samples(self.mirror.runtime, one.inode)

    @property
    def moves(self) -> bool:
        """Bytes come from it that are more than an answer's head."""
        return any(not is_fresh(one) and self.quiet_samples(one) == 0 for one in self.connections)

    def events(self, near: Told) -> Tuple[List[TcpEvent], List[TcpEvent]]:
        """The ends of the runtime's dials around a line: those to the mirror, and those to others."""
        dials = [one for one in self._dials if near.at_ns - _NEAR_NS <= one.at_ns <= near.at_ns + _AFTER_NS]
        mine = [one for one in dials if _address(one) in self.mirror.addresses]
        return mine, [one for one in dials if _address(one) not in self.mirror.addresses]

    def finding(
        self, reason: str, evidence: Sequence[Evidence], samples: int, threshold: int, since_ns: int
    ) -> Finding:
        return Finding(
            runtime=self.mirror.runtime,
            cause=Cause.MIRROR_FAILING,
            subject=f"{self.daemon.pid}.{self.daemon.start_ticks}/mirror {self.mirror.url}",
            culprit=runtime_of(self.daemon),
            evidence=tuple(evidence),
            samples=samples,
            threshold=threshold,
            since_ns=since_ns,
            target=Target(endpoint=self.mirror.url, reason=reason),
        )


# --- silence -----------------------------------------------------------------------------


def _silent(look: _Look, demand: Demand, limits: Thresholds) -> Optional[Finding]:
    """A request to it that is not answered, while a pull from docker.io waits."""
    waiting = _from_docker_io(demand)
    asked = [one for one in look.connections if _is_unanswered(one)]
    if not waiting or not asked or look.moves:
        return None
    oldest = max(asked, key=look.quiet_samples)
    samples = look.quiet_samples(oldest)
    files = [
        one
        for one in look.transfers.of(look.mirror.runtime)
        if one.phase is Phase.WAITING and any(each.inode == oldest.inode for each in one.waiting)
    ]
    # A mirror that fetches a whole layer before its first byte is slow there, but not with a manifest.
    threshold = limits.header_wait if files else 2 * limits.stalled
    stands = (
        Evidence(Kind.BLOB_FILE, f"{files[0].name} waits for its first byte")
        if files
        else Evidence(Kind.PROCESS_STATE, f"{', '.join(waiting)} waits, and no layer of it has begun")
    )
    since_ns = look.transfers.seen_since(look.mirror.runtime)[oldest.inode]
    found = look.finding(
        "hangs", (_silence(oldest, look.mirror, samples), stands), samples, threshold, since_ns
    )
    return replace(found, images=tuple(waiting))


def _is_unanswered(one: ConnectionSample) -> bool:
    return one.state == ESTABLISHED and one.receive_queue_bytes == 0 and is_fresh(one)


def _silence(one: ConnectionSample, mirror: MirrorSeen, samples: int) -> Evidence:
    seconds = (one.silent_ns or 0) / SECOND_NS
    return Evidence(
        Kind.SOCKET,
        f"a request to {mirror.url} ({one.local} to {one.remote}) is not answered: "
        f"silent for {seconds:.0f} s, in {samples} samples",
    )


# --- failures ------------------------------------------------------------------------------


def _fails(look: _Look, demand: Demand, limits: Thresholds) -> Optional[Finding]:
    """Failed requests that the log tells of, where the kernel saw the connections to it."""
    lines = [] if look.moves else _lines_about(look)
    if not lines:
        return None
    costly = [one for one in lines if one.symptom.attempt is not None or _reason(one) == "hangs"]
    counted = costly if len(costly) >= limits.cuts else lines
    newest = counted[-1]
    dials = [each for one in counted for each in look.events(one)[0]]
    log = Evidence(
        Kind.LOG, f"{len(counted)} requests to {look.mirror.url} failed: {parse(newest.text).text}"
    )
    evidence = (log, _dialled(look.mirror, dials)) if dials else (log,)
    found = look.finding(_reason(newest), evidence, len(counted), limits.cuts, counted[0].at_ns)
    hands_off = "" if counted is costly else NO_COST
    return replace(found, images=tuple(_from_docker_io(demand)), hands_off=hands_off)


def _lines_about(look: _Look) -> List[Told]:
    """Oldest first: the lines of the runtime's own log about a request to the mirror that failed."""
    runtime, world = look.mirror.runtime, look.world
    since_wall_ns = last_change_wall_ns(_history(world), runtime)
    return [
        one
        for one in world.told.get(runtime, ())
        if one.source == runtime
        and world.now_ns - one.at_ns <= _COUNTS_FOR_NS
        and world.wall_ns(one.at_ns) > since_wall_ns
        and one.symptom.kind in _REASONS
        and (one.symptom.attempt is not None or _PASSED_OVER in one.text)
        and _is_about(one, look)
    ]


def _is_about(one: Told, look: _Look) -> bool:
    """It names the mirror; or it names nobody, and in that moment the mirror was asked and nobody else."""
    if one.symptom.address:
        return one.symptom.address in (urlsplit(look.mirror.url).netloc, *look.mirror.addresses)
    mine, others = look.events(one)
    # What is dialled after the mirror is the next endpoint.
    return bool(mine) and all(each.at_ns >= mine[-1].at_ns for each in others)


def _history(world: World) -> History:
    return History(world.ledger.entries, world.wall_ns())


def _reason(one: Told) -> str:
    return _REASONS[one.symptom.kind]


def _dialled(mirror: MirrorSeen, dials: Sequence[TcpEvent]) -> Evidence:
    refused = sum(one.new_state == CLOSE for one in dials)
    return Evidence(
        Kind.KERNEL_EVENT,
        f"the runtime dialled {', '.join(mirror.addresses)} {len(dials)} times in those moments; "
        f"{refused} were refused or not answered",
    )


# --- what waits ------------------------------------------------------------------------------


def _from_docker_io(demand: Demand) -> List[str]:
    """The images of docker.io that somebody waits for: mirrors are for these only."""
    names = dict.fromkeys(one.client.image or "" for one in demand.waiting)
    found = [(name, parse_reference(name)) for name in names]
    return [name for name, known in found if known is not None and known.registry == DEFAULT_REGISTRY]


def _careful(found: Finding, look: _Look, demand: Demand) -> Finding:
    """Hands off where the mirror is a registry by its own name, too: a request may be one for that."""
    addresses = look.mirror.addresses
    here = [f"localhost:{port_of(one)}" for one in addresses if is_loopback(one)]
    places = (urlsplit(look.mirror.url).netloc, *addresses, *here)
    names = [one.client.image or "" for one in (*demand.waiting, *demand.pushes)]
    known = [(name, parse_reference(name)) for name in names]
    others = [name for name, one in known if one is not None and one.registry in places]
    if not others or found.hands_off:
        return found
    return replace(
        found, hands_off=f"a request to it may be one for {others[0]}, which it is the registry of"
    )


def _address(event: TcpEvent) -> str:
    host = event.remote_address
    return f"[{host}]:{event.remote_port}" if ":" in host else f"{host}:{event.remote_port}"
