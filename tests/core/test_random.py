"""Whatever happens, in whatever order: the engine never raises, and never harms what moves.

A life is a list of things that happen on a machine, to its agent and to its
people; after every look the invariants below hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Optional, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.hangs import HANGS
from tests.core.machine import MIB, Extraction
from tests.core.scene import Scene, enforce
from tests.core.test_codec import KINDS, SLOW, values
from tests.core.test_incident import LEGAL
from tests.core.test_laws import HUNG
from watchdog.core.codec import frame_from_json, frame_to_json
from watchdog.core.engine import Engine
from watchdog.core.observation import (
    ActionFinished,
    ActionStarted,
    ClientScan,
    ExtractionScan,
    LedgerSeen,
    MachineSeen,
    OperatorSeen,
    Outcome,
    PolicySeen,
    ProcessSample,
    RuntimeSeen,
    Sight,
)
from watchdog.core.policy import MINUTE_NS, SECOND_NS, Policy, Remedy
from watchdog.core.record import from_record, to_record
from watchdog.core.tick import Call, Decision, Tick

Happening = Callable[["Life", int], None]


class Life(Scene):
    """A scene whose every tick is checked."""

    def __init__(self) -> None:
        super().__init__(enforce(*Remedy))
        self.resumed: List[Tuple[str, int]] = []
        self.owners: Dict[str, Tuple[str, int, int]] = {}
        self.states: Dict[str, Optional[str]] = {}

    def step(self, observations: List[Any]) -> Tick:
        tick = super().step(observations)
        check(self, tick)
        return tick

    def some(self, number: int) -> Optional[Extraction]:
        return self.extractions[number % len(self.extractions)] if self.extractions else None

    def effect(self, remedy: str, incident: str) -> None:
        if remedy == "resume":
            culprit = (self.boot_id, self.record(incident)["culprit"]["pid"])
            assert culprit not in self.resumed, "continued twice"
            self.resumed.append(culprit)
        super().effect(remedy, incident)


# --- what must always hold -----------------------------------------------------------------------


def check(life: Life, tick: Tick) -> None:
    acts = [one for one in tick.decisions if one.call is Call.ACT]
    records = {record["id"]: record for record in tick.incidents}
    assert len(records) == len(tick.incidents)
    for name, record in records.items():
        culprit = record["culprit"]
        owner = (record["boot_id"], culprit["pid"], culprit["start_ticks"])
        assert life.owners.setdefault(name, owner)[1:] == owner[1:], "one id, two processes"
        assert to_record(from_record(record), record["boot_id"]) == record
    for one in tick.transitions:
        assert one.old is None or any(
            (state.value, to.value) == (one.old, one.new) for (state, _), to in LEGAL.items()
        )
    assert len([one for one in acts if one.remedy != "repull"]) <= 1
    for decision in acts:
        check_act(life, decision, records)


def check_act(life: Life, decision: Decision, records: Dict[str, Dict[str, Any]]) -> None:
    world = life.engine.world
    assert world.policy.mode.value == "enforce"
    assert world.ledger.usable and not world.operator.inhibited and not world.paused()
    if decision.undo:
        return
    record = records[decision.incident]
    assert not record["hands_off"]
    assert len({fact["kind"] for fact in record["evidence"]}) >= 2
    if decision.remedy in ("resume", "kill_decompressor", "restart_runtime", "disable_pigz"):
        assert not moved_lately(life, record["culprit"]["pid"]), "it moved in the last look"


def moved_lately(life: Life, pid: int) -> bool:
    """True when the newest look differs from the one before it in that process' counters."""
    seen: List[Tuple[Optional[int], Optional[int]]] = []
    for frame in reversed(life.frames[-12:]):
        for scan in reversed([one for one in frame.observations if isinstance(one, ExtractionScan)]):
            seen += [(one.read_bytes, one.written_bytes) for one in processes(scan) if one.key.pid == pid]
    return len(seen) < 2 or seen[0] != seen[1] or None in seen[0]


def processes(scan: ExtractionScan) -> List[ProcessSample]:
    daemon = [scan.daemon] if scan.daemon else []
    members = [member for one in scan.decompressors for member in one.members]
    return [*daemon, *members, *[one.process for one in scan.untars], *scan.orphans]


# --- what may happen -------------------------------------------------------------------------------


def _with_extraction(change: Callable[[Life, Extraction, int], None]) -> Happening:
    def happen(life: Life, number: int) -> None:
        one = life.some(number)
        if one is not None:
            change(life, one, number)

    return happen


def _pull(life: Life, number: int) -> None:
    if len(life.extractions) < 4:
        image = f"localhost:5000/image{number % 3}:1"
        one = life.pull(
            image,
            size=(40 + number % 50) * MIB,
            client=number % 5 != 0,
            manifest=number % 7 != 0,
            wrapper=number % 2 == 0,
            untar=number % 3 != 0,
        )
        one.move((number % 30) * MIB)


def _hang(life: Life, one: Extraction, number: int) -> None:
    life.hang(one, list(HANGS)[number % len(HANGS)])


def _lose_sight(life: Life, one: Extraction, number: int) -> None:
    names = ("read_bytes", "written_bytes", "cpu_ticks", "frozen", "stdin", "stdout")
    setattr(one.worker, names[number % len(names)], None)


def _go_blind(life: Life, number: int) -> None:
    kinds = (ExtractionScan, ClientScan, LedgerSeen, MachineSeen, RuntimeSeen, PolicySeen)
    life.blind ^= {kinds[number % len(kinds)]}


def _person_acts(life: Life, number: int) -> None:
    """Or an act process that was cut short, where no result is written."""
    if life.ticks and life.incidents:
        incident = life.incidents[number % len(life.incidents)]["id"]
        remedy = ("kill_decompressor", "restart_runtime", "repull")[number % 3]
        action = f"by-hand-{len(life.ledger.entries)}"
        life.write(action, "intent", incident, remedy)
        if number % 4:
            life.write(action, "result", incident, remedy, list(Outcome)[number % 4])


def _acknowledge(life: Life, number: int) -> None:
    if life.ticks and life.incidents:
        life.acknowledge(life.incidents[number % len(life.incidents)]["id"])


def _operator(life: Life, number: int) -> None:
    until = life.wall_ns + 3 * SECOND_NS if number % 3 == 0 else None
    life.operator = OperatorSeen(until, "because", inhibited=number % 5 == 0)


def _ledger_breaks(life: Life, number: int) -> None:
    life.ledger = replace(life.ledger, usable=not life.ledger.usable)


def _reboot(life: Life, number: int) -> None:
    life.boot_id += "x"
    life.restart_runtime()
    life.orphans.clear()
    life.restart_agent()


def _remedies_end(life: Life, number: int) -> None:
    outcome = list(Outcome)[number % 4]
    life.outcomes = {} if outcome is Outcome.DONE else {list(Remedy)[number % 6].value: outcome}
    life.takes = number % 3


def _stray_action(life: Life, number: int) -> None:
    """Of an incident that nobody knows."""
    life.news.append(ActionStarted("stray", "pw-none", "resume"))
    life.news.append(ActionFinished("stray", "pw-none", "resume", Outcome.DONE))


def _mode(life: Life, number: int) -> None:
    life.policy = Policy() if number % 4 == 0 else enforce(*Remedy)


def _sight(life: Life, number: int) -> None:
    life.sight = list(Sight)[number % len(Sight)] if number % 3 == 0 else Sight.FULL


def _all_is_well(life: Life, number: int) -> None:
    """What people and sensors had in the way is out of it."""
    life.blind.clear()
    life.ledger = replace(life.ledger, usable=True)
    life.operator, life.sight, life.complete, life.policy = OperatorSeen(), Sight.FULL, True, enforce(*Remedy)


def _hang_truly(life: Life, one: Extraction, number: int) -> None:
    life.hang(one, HUNG[number % len(HUNG)])


def _look_twice(life: Life, number: int) -> None:
    life.now_ns += SECOND_NS
    first = life.observe()
    life.advance()
    life.step([*first, life.scan(), life.client_scan()])


HAPPENINGS: Dict[str, Happening] = {
    "nothing": lambda life, number: None,
    "all is well": _all_is_well,
    "a true hang": _with_extraction(_hang_truly),
    "two looks at once": _look_twice,
    "a gap": lambda life, number: life.tick(seconds=10) and None,
    "time flies": lambda life, number: setattr(life, "now_ns", life.now_ns + 11 * MINUTE_NS),
    "a pull": _pull,
    "a load": lambda life, number: len(life.extractions) < 4 and life.load() and None,
    "a hang": _with_extraction(_hang),
    "it goes on": _with_extraction(lambda life, one, number: life.go_on(one)),
    "a byte": _with_extraction(lambda life, one, number: one.worker.pass_bytes(1, 0)),
    "it ends": _with_extraction(lambda life, one, number: life.extractions.remove(one)),
    "a loss of sight": _with_extraction(_lose_sight),
    "blindness": _go_blind,
    "half a look": lambda life, number: setattr(life, "complete", number % 2 == 0),
    "a client": lambda life, number: life.client(f"localhost:5000/image{number % 3}:1") and None,
    "clients leave": lambda life, number: life.leave(*life.clients[: number % 3]),
    "an arrival": lambda life, number: life.arrive(f"localhost:5000/image{number % 3}:1"),
    "a fault for all": lambda life, number: setattr(life, "fault", ("", "blocked", "stopped")[number % 3]),
    "a person acts": _person_acts,
    "an ack": _acknowledge,
    "a pause": _operator,
    "no ledger": _ledger_breaks,
    "another mode": _mode,
    "another sight": _sight,
    "how remedies end": _remedies_end,
    "a stray action": _stray_action,
    "a new agent": lambda life, number: life.restart_agent(),
    "a new daemon": lambda life, number: life.restart_runtime(),
    "a new boot": _reboot,
}
OFTEN = ["all is well", "a true hang", "a pull"] * 6
# What happens, a number that decides the details, and how many looks follow.
STEP = st.tuples(st.sampled_from(OFTEN + sorted(HAPPENINGS)), st.integers(0, 200), st.integers(1, 14))
STEPS = st.lists(STEP, min_size=8, max_size=24)


def live(steps: List[Tuple[str, int, int]]) -> Life:
    life = Life()
    _pull(life, 1)
    for name, number, looks in steps:
        HAPPENINGS[name](life, number)
        life.tick(looks)
    return life


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(STEPS)
def test_whatever_happens(steps):
    live(steps)


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(STEPS)
def test_whatever_happened_replays_to_the_same(steps):
    life = live([one for one in steps if one[0] not in ("a new agent", "a new boot")])

    engine = Engine()
    again = [engine.step(frame_from_json(frame_to_json(frame))).to_json() for frame in life.frames]

    assert again == [tick.to_json() for tick in life.ticks]


RAW = st.one_of([values(kind) for kind in KINDS if kind is not PolicySeen])


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(st.lists(st.lists(RAW, max_size=4), max_size=6))
def test_whatever_is_seen(frames):
    """Any observation of the right shape, sensible or not, in the middle of a story."""
    scene = Scene(enforce(*Remedy), acts=False)
    scene.hang(scene.pull(), "blocked")
    scene.tick(8)
    for observations in frames:
        scene.now_ns += SECOND_NS
        scene.step([*scene.observe(), *observations]).to_json()
