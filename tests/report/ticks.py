"""Ticks as the core makes them, for tests of what observes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

from watchdog.core.causes.finding import Cause
from watchdog.core.evidence import Evidence, Kind
from watchdog.core.incident import ActionTaken, Incident, State
from watchdog.core.observation import (
    Api,
    Executable,
    Outcome,
    ProcessKey,
    ProcessSample,
    RuntimeSeen,
    SensorState,
    Sight,
)
from watchdog.core.pull import AffectedPull
from watchdog.core.record import to_record
from watchdog.core.tick import Call, Decision, PullView, StageView, Tick, Transition

SECOND_NS = 1_000_000_000
PIGZ = Executable("/usr/bin/pigz", 2049, 77)
UNPIGZ = ProcessSample(ProcessKey(4242, 1000), 100, "unpigz", PIGZ, "TTT", read_bytes=10, written_bytes=20)
PULL = AffectedPull(
    "localhost:5000/big:1", "sha256:" + "a" * 64, ProcessKey(4000, 900), True, None, 312_000_000
)
ID = "pw-1a2b3c4d"

STOPPED = Incident(
    id=ID,
    runtime="docker",
    cause=Cause.DECOMPRESSOR_STOPPED,
    state=State.CONFIRMED,
    culprit=UNPIGZ,
    evidence=(
        Evidence(Kind.PROCESS_STATE, "all 3 threads of unpigz are stopped (T)"),
        Evidence(Kind.PIPE, "its input holds 65536 bytes and its output has room"),
        Evidence(Kind.COUNTERS, "no byte in or out for 4 samples"),
    ),
    opened_wall_ns=1_700_000_000 * SECOND_NS,
    confirmed_wall_ns=1_700_000_004 * SECOND_NS,
    command="/usr/bin/unpigz",
    stage=(UNPIGZ,),
    decompressor=(UNPIGZ,),
    pulls=(PULL,),
    certain=True,
    next="would_act resume: decompressor_stopped: unpigz (pid 4242) of localhost:5000/big:1",
)


def record(incident: Incident = STOPPED, **changes: Any) -> Dict[str, Any]:
    """The incident's record as the engine hands it out."""
    return to_record(replace(incident, **changes), "boot-1")


def action(outcome: Outcome | None, action_id: str = "a1", remedy: str = "resume") -> ActionTaken:
    """An action of an incident."""
    return ActionTaken(action_id, remedy, 1_700_000_005 * SECOND_NS, outcome, "SIGCONT sent")


DOCKER = RuntimeSeen(
    "docker",
    "docker",
    ProcessKey(100, 50),
    Executable("/usr/sbin/dockerd", 2049, 5),
    Api.ANSWERS,
    Sight.FULL,
    version="20.10.24",
    data_root="/var/lib/docker",
    live_restore=False,
)

QUIET = Tick(
    now_ns=10 * SECOND_NS,
    sentence="no pull is under way",
    sensors=(SensorState("process_events", True, "libbpf"), SensorState("log:docker", True)),
    runtimes=(DOCKER,),
    budgets=(("resume", "decompressor_stopped", 6),),
)

HUNG = Tick(
    now_ns=20 * SECOND_NS,
    sentence=f"{ID} decompressor_stopped is confirmed: would_act resume",
    incidents=(record(),),
    changed=(ID,),
    transitions=(Transition(ID, None, "confirmed", "all 3 threads of unpigz are stopped (T)"),),
    decisions=(Decision(ID, Call.WOULD_ACT, "decompressor_stopped: unpigz (pid 4242)", "resume"),),
    pulls=(
        PullView("docker", PULL.image, PULL.client, True, "extracting a layer, 12% of 312000000 bytes read"),
    ),
    stages=(
        StageView(
            "docker",
            "decompressor",
            4242,
            "unpigz",
            "TTT",
            10,
            20,
            14,
            "GetImageBlob1",
            312_000_000,
            40_000_000,
        ),
        StageView("docker", "untar", 4243, "exe", "S", 20, 20, 3),
    ),
    sensors=QUIET.sensors,
    runtimes=QUIET.runtimes,
    budgets=(("resume", "decompressor_stopped", 5),),
    active=True,
)
