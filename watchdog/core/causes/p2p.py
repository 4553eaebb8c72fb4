"""What fails inside the P2P client of this node: Dragonfly, of any generation.

The client's log names it, in the words of its generation and with the same table
as `explain`.  A line alone confirms nothing: the runtime's connections to it, or
its own counters, must show that something is held up.

Law: slow is not hung.  Dragonfly 1 fetches a layer whole before it sends the first
byte of it; while its files grow, the silence on its connections is nobody's fault.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from watchdog.core.advice.record import Advice
from watchdog.core.causes.finding import Cause, Finding
from watchdog.core.diagnosis import judge_p2p
from watchdog.core.dragonfly import PRODUCTS, Generation
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.observation import Api, P2pSeen, ProcessSample, TcpEvent
from watchdog.core.policy import SECOND_NS
from watchdog.core.target import Target, is_loopback, port_of
from watchdog.core.tcp import ESTABLISHED
from watchdog.core.told import Told
from watchdog.core.transfer import Transfers
from watchdog.core.world import World

WITHIN_NS = 180 * SECOND_NS  # a line that is older tells nothing of now
STALE_NS = 15 * SECOND_NS
SILENT_NS = 10 * SECOND_NS
GROWS_NS = 20 * SECOND_NS
LOOKS = 3  # at the client, since the first line
LINE_CHARS = 240
_WORDS = ("df1.", "dfgo.", "dfrs.")
CAUSES = frozenset(
    {
        Cause.P2P_PIECE_TIMEOUT,
        Cause.P2P_NO_SCHEDULER,
        Cause.P2P_SUPERNODE_UNREACHABLE,
        Cause.P2P_RATE_LIMITED,
    }
)
_PASSED_OVER = (Cause.P2P_SUPERNODE_UNREACHABLE, Cause.P2P_RATE_LIMITED)
NO_PULL_WAITS = "no pull waits for it: the runtime passes over a mirror that answers an error at once"
_FROM_KUBERNETES = (
    "The configuration of this client comes from Kubernetes and is read-only on the node: "
    "change the values of its chart, as below."
)
_NAMES = {
    Generation.V1: "Dragonfly 1",
    Generation.V2_GO: "Dragonfly 2 (Go daemon)",
    Generation.V2_RUST: "Dragonfly 2 (Rust client)",
}

_Looks = Sequence[Tuple[int, P2pSeen]]


def failing_p2p(runtime: str, world: World, transfers: Transfers) -> List[Finding]:
    """The finding about the P2P client that a runtime pulls through, if there is one."""
    daemon, looks = world.daemons.get(runtime), looks_of(world)
    if daemon is None or not looks:
        return []
    seen = looks[-1][1]
    told = [one for one in world.told.get(runtime, ()) if _tells(one, looks[0][0])]
    cause, reason, advice = judge_p2p(one.symptom.detail for one in told)
    if not told or reason != seen.generation or cause not in {one.value for one in CAUSES}:
        return []
    trouble = _trouble(daemon, world, transfers, looks)
    return [
        Finding(
            runtime=runtime,
            cause=Cause(cause),
            culprit=daemon,
            evidence=(_says(told), *trouble),
            samples=sum(at_ns >= told[0].at_ns for at_ns, _ in looks),
            since_ns=told[0].at_ns,
            threshold=LOOKS,
            subject=f"p2p {seen.address}",
            target=Target(endpoint=seen.address, reason=seen.generation),
            hands_off="" if Cause(cause) not in _PASSED_OVER or _waits(runtime, world) else NO_PULL_WAITS,
            advice=_advice(advice, seen),
        )
    ]


def waits_for_p2p(finding: Finding, world: World) -> bool:
    """Whether a connection, or a mirror, is only silent because Dragonfly 1 fetches the whole layer first."""
    looks = looks_of(world)
    return bool(looks) and _is_about(finding, looks[-1][1].address) and is_fetching(looks, world.now_ns)


def is_explained(finding: Finding, of_p2p: Sequence[Finding]) -> bool:
    """Whether a mirror fails because it is the P2P client, of which more is known."""
    known = [one.target.endpoint for one in of_p2p if one.confirmed and one.target is not None]
    return any(_is_about(finding, endpoint) for endpoint in known)


def sign_of_recovery(world: World, transfers: Transfers, target: Target, since_wall_ns: int) -> str:
    """What shows that the client has brought something since that wall time, and failed nothing; or ""."""
    looks = [seen for at_ns, seen in looks_of(world) if world.wall_ns(at_ns) >= since_wall_ns]
    came = [seen.came for seen in looks if seen.came is not None]
    failed = [seen.tasks_failed for seen in looks if seen.tasks_failed is not None]
    if came and came[-1] > came[0] and failed and failed[-1] == failed[0]:
        return "the P2P client counts what has come since, and no failed task"
    for name in transfers.scans:
        for one in transfers.of(name):
            comes_from_it = one.connection is not None and _leads_to(one.connection.remote, target.endpoint)
            if comes_from_it and one.samples == 0 and one.rate > 0:
                return f"{one.name} is being downloaded from {target.endpoint}"
    return ""


def looks_of(world: World) -> _Looks:
    """The looks at the client that runs now, of late; none where the newest is no news any more.

    A client that was restarted is another one: what was said of the old one is over.
    """
    if not world.p2p or world.now_ns - world.p2p[-1][0] > STALE_NS:
        return ()
    process, since_ns = world.p2p[-1][1].process, world.now_ns - WITHIN_NS
    looks: List[Tuple[int, P2pSeen]] = []
    for at_ns, seen in reversed(world.p2p):
        if seen.process != process or at_ns < since_ns:
            break
        looks.append((at_ns, seen))
    return looks[::-1]


def is_fetching(looks: _Looks, now_ns: int) -> bool:
    """Whether the files of its store have grown of late."""
    sizes = [seen.stored_bytes for at_ns, seen in looks if now_ns - at_ns <= GROWS_NS]
    known = [one for one in sizes if one is not None]
    return any(later > earlier for earlier, later in zip(known, known[1:]))


def _tells(one: Told, since_ns: int) -> bool:
    return one.symptom.detail.startswith(_WORDS) and one.at_ns >= since_ns


def _waits(runtime: str, world: World) -> bool:
    """Whether anything is being pulled: it may wait for the client."""
    scan = world.clients.get(runtime)
    return scan is None or any(one.verb == "pull" and one.connected is not False for one in scan.clients)


def _is_about(finding: Finding, address: str) -> bool:
    target = finding.target
    if target is None:
        return False
    peer = target.connection.remote if target.connection else urlsplit(target.endpoint).netloc
    peer = peer.replace("localhost:", "127.0.0.1:")
    return peer.rpartition(":")[2].isdecimal() and _leads_to(peer, address)


def _leads_to(remote: str, address: str) -> bool:
    """A runtime may say `localhost`, and mean any address of this machine."""
    if remote == address:
        return True
    return is_loopback(remote) and is_loopback(address) and port_of(remote) == port_of(address)


# --- evidence ----------------------------------------------------------------------------


def _says(told: Sequence[Told]) -> Evidence:
    newest = told[-1]
    times = f", {len(told)} lines of that kind" if len(told) > 1 else ""
    return Evidence(Kind.LOG, f"{newest.source} says{times}: {newest.text.strip()[:LINE_CHARS]}")


def _trouble(
    daemon: ProcessSample, world: World, transfers: Transfers, looks: _Looks
) -> Tuple[Evidence, ...]:
    """What shows, beside the log, that work is held up; nothing while its files grow."""
    if is_fetching(looks, world.now_ns):
        return ()
    address = looks[-1][1].address
    found = (_refuses(looks[-1][1]), _fails(looks), _silence(transfers, world, address))
    return tuple(filter(None, (*found, _short_connections(daemon, world, looks[0][0], address))))


def _refuses(seen: P2pSeen) -> Optional[Evidence]:
    if seen.api is Api.REFUSED:
        return Evidence(Kind.SOCKET, f"nobody listens on {seen.address}")
    if seen.api is Api.SILENT:
        return Evidence(Kind.SOCKET, f"the client at {seen.address} takes a question and does not answer")
    return None


def _fails(looks: _Looks) -> Optional[Evidence]:
    """Its own count of tasks that failed has risen."""
    counts = [seen.tasks_failed for _, seen in looks if seen.tasks_failed is not None]
    if not counts or counts[-1] <= counts[0]:
        return None
    seconds = (looks[-1][0] - looks[0][0]) / SECOND_NS
    text = f"{counts[-1] - counts[0]} tasks of the client have failed in {seconds:.0f} s, as it counts them"
    return Evidence(Kind.COUNTERS, text)


def _silence(transfers: Transfers, world: World, address: str) -> Optional[Evidence]:
    """The runtime waits on connections to it."""
    for name, scan in transfers.scans.items():
        if not transfers.fresh(name, world.now_ns):
            continue
        to_it = [one for one in scan.connections if _leads_to(one.remote, address)]
        silent = [one for one in to_it if one.state == ESTABLISHED and (one.silent_ns or 0) >= SILENT_NS]
        if silent:
            longest = max(one.silent_ns or 0 for one in silent) / SECOND_NS
            text = f"{len(silent)} connections of the runtime to {address} are silent, up to {longest:.0f} s"
            return Evidence(Kind.SOCKET, text)
    return None


def _short_connections(
    daemon: ProcessSample, world: World, since_ns: int, address: str
) -> Optional[Evidence]:
    ended = [one for one in world.tcp if one.at_ns >= since_ns and _is_end(one, daemon, address)]
    if not ended:
        return None
    text = f"{len(ended)} connections of the runtime to {address} have ended in that time"
    return Evidence(Kind.KERNEL_EVENT, text)


def _is_end(event: TcpEvent, daemon: ProcessSample, address: str) -> bool:
    """A connection of the runtime's to that address came down."""
    return (
        event.pid == daemon.key.pid
        and event.remote_port == port_of(address)
        and event.what == "state"
        and event.old_state == ESTABLISHED
    )


# --- what to tell ----------------------------------------------------------------------------


def _advice(advice: Advice, seen: P2pSeen) -> Tuple[str, ...]:
    """Which client this is, what to do here, what to tell whom."""
    filled = advice.filled({"evidence": ""})
    here = (_FROM_KUBERNETES,) if seen.managed_by == "kubernetes" else filled.here
    return (_which(seen), *here, *filled.sentences({}))


def _which(seen: P2pSeen) -> str:
    generation = Generation(seen.generation)
    product = PRODUCTS[generation]
    name = " ".join(filter(None, (_NAMES[generation], seen.version)))
    text = f"This node has {name}, configured in {seen.config}"
    if seen.piece_timeout:
        text += f", where {'.'.join(product.timeout)} is {seen.piece_timeout}"
    if seen.foreign_key:
        text += f"; {'.'.join(product.foreign)}, which stands there too, is a key that it does not know"
    return text + "."
