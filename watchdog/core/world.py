"""What the core believes about the machine right now: the newest of each observation.

Law: state lives here, in the tracks and in the incidents, and nowhere else.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Type

from watchdog.core.agreement import LOOKED_BACK_NS, Witness, is_open, with_agreement
from watchdog.core.harbor import host_of
from watchdog.core.observation import (
    ActionFinished,
    ActionStarted,
    Client,
    ClientScan,
    ExtractionScan,
    Frame,
    HarborSeen,
    ImageEvent,
    IncidentRemembered,
    LedgerSeen,
    LogLine,
    MachineSeen,
    ManifestSeen,
    MirrorSeen,
    OperatorSeen,
    P2pSeen,
    PolicySeen,
    ProcessEvent,
    ProcessSample,
    RuntimeSeen,
    SensorState,
    TcpEvent,
    TransferScan,
)
from watchdog.core.policy import Policy
from watchdog.core.reference import asked_for
from watchdog.core.told import Told, concerned, keep, told_by

_NEWS = ("scans", "transfers", "connection_events", "lines", "finished", "started", "remembered")
STOP_SIGNALS = (19, 20, 21, 22)  # SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU on every architecture of today
STOPS_KEPT = 64
NAMES_KEPT = 64
MANIFESTS_KEPT = 256  # the newest; a node pulls far fewer at once
IMAGE_EVENTS_KEPT = 256
LEFT_KEPT = 64
TCP_EVENTS_KEPT = 512
P2P_LOOKS_KEPT = 128


class World:
    """The facts; `apply` takes in a frame and keeps what happened in it apart."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.policy = Policy()
        self.machine = MachineSeen("", 0, 0)
        self.ledger = LedgerSeen(usable=False, detail="not read yet")
        self.ledger_was_read = False
        self.operator = OperatorSeen()
        self.runtimes: Dict[str, RuntimeSeen] = {}
        self.daemons: Dict[str, ProcessSample] = {}  # each runtime's process, as it was seen last
        self.mirrors: Dict[Tuple[str, str], MirrorSeen] = {}  # by runtime and URL
        self.clients: Dict[str, ClientScan] = {}
        self.clients_seen_ns: Dict[str, int] = {}
        self.manifests: Dict[str, ManifestSeen] = {}
        self.sensors: Dict[str, SensorState] = {}
        self.asked_for: Dict[str, str] = {}  # by repository: the newest name that the log tells
        self.stops: Dict[int, ProcessEvent] = {}  # by pid: the newest stop signal that it got
        self.in_flight: Dict[str, ActionStarted] = {}
        self.left: Deque[Tuple[int, str, Client]] = deque(maxlen=LEFT_KEPT)  # clients that ended, with when
        self.told: Dict[str, Deque[Told]] = {}  # by runtime: lines with a symptom, newest last
        # With the wall time at which each was seen: an image may arrive while nobody looks yet.
        self.image_events: Deque[Tuple[int, ImageEvent]] = deque(maxlen=IMAGE_EVENTS_KEPT)
        self.p2p: Deque[Tuple[int, P2pSeen]] = deque(maxlen=P2P_LOOKS_KEPT)  # with when, newest last
        self.tcp: Deque[TcpEvent] = deque(maxlen=TCP_EVENTS_KEPT)  # newest last
        self.harbors: Dict[str, Tuple[int, HarborSeen]] = {}  # by registry, with when
        # What this frame brought; emptied with the next one.
        self.scans: List[ExtractionScan] = []
        self.transfers: List[TransferScan] = []
        self.connection_events: List[TcpEvent] = []
        self.lines: List[LogLine] = []
        self.finished: List[ActionFinished] = []
        self.started: List[ActionStarted] = []
        self.remembered: List[Any] = []

    def apply(self, frame: Frame) -> None:
        """Take in one frame, in the order in which it was seen."""
        self.now_ns = frame.now_ns
        for name in _NEWS:
            getattr(self, name).clear()
        for one in frame.observations:
            take = _TAKE.get(type(one))
            if take is not None:
                take(self, one)
        for name, told in self.told.items():
            self._look_for_agreement(name, told)

    def wall_ns(self, at_ns: Optional[int] = None) -> int:
        """The wall clock at a monotonic moment, as the machine told it last."""
        moment = self.now_ns if at_ns is None else at_ns
        return self.machine.wall_ns + (moment - self.machine.monotonic_ns)

    def paused(self) -> bool:
        """True while a person's `pause` holds."""
        until = self.operator.paused_until_wall_ns
        return until is not None and self.wall_ns() < until

    def pushing(self) -> bool:
        """True while somebody pushes."""
        clients = (client for scan in self.clients.values() for client in scan.clients)
        return any(one.verb == "push" and one.connected is not False for one in clients)

    def exclusive_in_flight(self) -> Optional[ActionStarted]:
        """The action that forbids a second one.

        A repull is a download that may take as long as the image is large;
        its effect is made when it is accepted, so it does not count.
        """
        for action in self.in_flight.values():
            if action.remedy != "repull":
                return action
        return None

    # --- one method an observation ------------------------------------------

    def _on_runtime(self, seen: RuntimeSeen) -> None:
        self.runtimes[seen.runtime] = seen

    def _on_mirror(self, seen: MirrorSeen) -> None:
        self.mirrors[(seen.runtime, seen.url)] = seen

    def _on_clients(self, seen: ClientScan) -> None:
        before = self.clients.get(seen.runtime)
        there = {one.key for one in seen.clients}
        for one in before.clients if before is not None and seen.complete else ():
            if one.key not in there:
                self.left.append((self.now_ns, seen.runtime, one))
        self.clients[seen.runtime] = seen
        self.clients_seen_ns[seen.runtime] = self.now_ns

    def _on_manifest(self, seen: ManifestSeen) -> None:
        self.manifests.pop(seen.digest, None)
        self.manifests[seen.digest] = seen
        while len(self.manifests) > MANIFESTS_KEPT:
            del self.manifests[next(iter(self.manifests))]

    def _on_process(self, seen: ProcessEvent) -> None:
        if seen.what == "exit":
            self.stops.pop(seen.pid, None)
        elif seen.what == "signal" and seen.signal in STOP_SIGNALS:
            self.stops.pop(seen.pid, None)
            self.stops[seen.pid] = seen
            while len(self.stops) > STOPS_KEPT:
                del self.stops[next(iter(self.stops))]

    def _on_scan(self, seen: ExtractionScan) -> None:
        self.scans.append(seen)
        if seen.daemon is not None:
            self.daemons[seen.runtime] = seen.daemon

    def _on_tcp(self, seen: TcpEvent) -> None:
        self.tcp.append(seen)
        self.connection_events.append(seen)

    def _on_harbor(self, seen: HarborSeen) -> None:
        self.harbors[host_of(seen.url)] = (self.now_ns, seen)

    def _on_p2p(self, seen: P2pSeen) -> None:
        self.p2p.append((self.now_ns, seen))

    def _on_line(self, seen: LogLine) -> None:
        self.lines.append(seen)
        reference = asked_for(seen.text)
        if reference is not None:
            self.asked_for.pop(reference.repository, None)
            self.asked_for[reference.repository] = str(reference)
            while len(self.asked_for) > NAMES_KEPT:
                del self.asked_for[next(iter(self.asked_for))]
        told = told_by(seen, self.now_ns, self.wall_ns())
        if told is not None:
            for runtime in concerned(told, list(self.runtimes), self.clients, self.manifests):
                keep(self.told, runtime, told)

    def _look_for_agreement(self, name: str, kept: Deque[Told]) -> None:
        seen = self.runtimes.get(name)
        young = [at for at, one in enumerate(kept) if is_open(one, self.now_ns)]
        if seen is None or not young:
            return
        witness = Witness(
            seen,
            self.now_ns,
            self.wall_ns(),
            left=tuple((at_ns, client) for at_ns, runtime, client in self.left if runtime == name),
            events=tuple(one for one in self.tcp if self.now_ns - one.at_ns <= LOOKED_BACK_NS),
            images=tuple(one for one in self.image_events if one[1].runtime == name),
        )
        for at in young:
            kept[at] = with_agreement(kept[at], witness)

    def _on_sensor(self, seen: SensorState) -> None:
        self.sensors[seen.sensor] = seen

    def _on_machine(self, seen: MachineSeen) -> None:
        self.machine = seen

    def _on_policy(self, seen: PolicySeen) -> None:
        self.policy = Policy.from_json(seen.policy_json)

    def _on_image(self, seen: ImageEvent) -> None:
        self.image_events.append((self.wall_ns(), seen))

    def _on_ledger(self, seen: LedgerSeen) -> None:
        self.ledger = seen
        self.ledger_was_read = True

    def _on_operator(self, seen: OperatorSeen) -> None:
        self.operator = seen

    def _on_started(self, seen: ActionStarted) -> None:
        self.in_flight[seen.action] = seen
        self.started.append(seen)

    def _on_finished(self, seen: ActionFinished) -> None:
        self.in_flight.pop(seen.action, None)
        self.finished.append(seen)

    def _on_remembered(self, seen: IncidentRemembered) -> None:
        try:
            self.remembered.append(json.loads(seen.record_json))
        except ValueError:
            return  # a torn file; what still hangs is found again


def _collect(name: str) -> Callable[[World, Any], None]:
    return lambda world, one: getattr(world, name).append(one)


_TAKE: Dict[Type[Any], Callable[[World, Any], None]] = {
    RuntimeSeen: World._on_runtime,
    MirrorSeen: World._on_mirror,
    ClientScan: World._on_clients,
    ManifestSeen: World._on_manifest,
    SensorState: World._on_sensor,
    MachineSeen: World._on_machine,
    PolicySeen: World._on_policy,
    LedgerSeen: World._on_ledger,
    LogLine: World._on_line,
    OperatorSeen: World._on_operator,
    ActionStarted: World._on_started,
    ActionFinished: World._on_finished,
    IncidentRemembered: World._on_remembered,
    ExtractionScan: World._on_scan,
    TransferScan: _collect("transfers"),
    TcpEvent: World._on_tcp,
    P2pSeen: World._on_p2p,
    HarborSeen: World._on_harbor,
    ProcessEvent: World._on_process,
    ImageEvent: World._on_image,
}
