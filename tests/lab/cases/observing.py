"""Observe mode: the same diagnosis, and an independent trace shows that nothing is touched.

Every scene that the other cases free, tell or leave alone is played again before an
agent that only looks, under strace.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from tests.lab import images, sight
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check, scenes
from tests.lab.cases.hung_decompressor import CAUSES, FORMS, WORDS
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.trace import Trace

TOLD_WITHIN_S = 60.0
LINGER_S = 3.0  # an agent that acts would do so at the next tick
KILL = "would_act kill_decompressor"
RESUME = "would_act resume"
HANDS_OFF = "refuse: hands off"


@dataclass(frozen=True)
class Scene:
    """What hangs, what its cause is, and how the decision begins that an agent tells of it."""

    name: str
    stage: scenes.Stage
    cause: str = "decompressor_blocked"
    decision: str = KILL
    disk_mb: int | None = None


def observed(scene: Scene) -> Measured:
    """The scene before an agent that only looks: diagnosed, and left as it is."""
    with Lab(disk_mb=scene.disk_mb) as lab:
        places = {"state_dir": str(lab.dockerd.data_root / "pull-watchdog")} if scene.disk_mb else {}
        trace = Trace(lab.root / "strace")
        with Agent(lab, mode="observe", under=trace.command, **places) as agent:
            wait_until(lambda: "answers" in agent.status(), "the agent knows the runtime")
            with scene.stage(lab) as culprit:
                incident = wait_until(
                    lambda: _told(agent, scene, culprit),
                    f"{scene.cause} of process {culprit} is told, with `{scene.decision}`",
                    TOLD_WITHIN_S,
                    every_s=0.5,
                )
                time.sleep(LINGER_S)
                check(sight.stage(culprit) is not None, "it is as it was")
                check(actions(agent) == [], "no action")
        check_untouched(trace, agent, lab)
    return Measured(seen=f"{incident['cause']}; {incident['next']}; trace clean")


def _told(agent: Agent, scene: Scene, culprit: int) -> dict[str, str] | None:
    wanted = (scene.cause, culprit)
    known = (one for one in agent.incidents() if (one["cause"], one["culprit"]["pid"]) == wanted)
    return next((one for one in known if one["next"].startswith(scene.decision)), None)


def check_untouched(trace: Trace, agent: Agent, lab: Lab) -> None:
    """The trace of an agent that has ended shows that it has only looked."""
    check("GET /info" in " ".join(trace.questions()), "strace saw the agent ask the runtime")
    check(trace.signals() == [], f"no signal but 0: {trace.signals()}")
    check(trace.changes() == [], f"no mount, namespace or ptrace: {trace.changes()}")
    state_dir = lab.dockerd.data_root / "pull-watchdog"
    outside = trace.written_outside(agent.run_dir, agent.state_dir, state_dir)
    check(outside == [], f"no write outside state and run directories: {outside}")
    check(trace.questions_that_change() == [], f"GETs only: {trace.questions_that_change()}")


SCENES = [
    *(
        Scene(
            f"unpigz {WORDS[fault]}, {FORMS[form]}",
            partial(scenes.decompressor_hangs, fault, form),
            CAUSES[fault],
            RESUME if fault is Fault.STOP else KILL,
        )
        for fault in CAUSES
        for form in Form
    ),
    Scene("docker-untar stopped", scenes.untar_stops, "untar_stopped", RESUME),
    Scene("dockerd itself stopped", scenes.dockerd_stops, "daemon_stopped", RESUME),
    Scene("a client gave up, a second pull waits", scenes.given_up_and_waiting),
    Scene("two live clients on one hung layer", partial(scenes.joined_by, images.SMALL, images.SMALL)),
    Scene("two images on one hung base layer", partial(scenes.joined_by, images.TWIN_A, images.TWIN_B)),
    Scene("two pulls, one of them hung", scenes.beside_a_healthy_pull),
    Scene("a hung load and build", scenes.load_and_build_hang, decision=HANDS_OFF),
    Scene("the fault comes back at every pull", scenes.comes_back),
    Scene("cgroup v2 freezer on unpigz", partial(scenes.frozen_by, 2), "decompressor_held", HANDS_OFF),
    Scene("cgroup v1 freezer on unpigz", partial(scenes.frozen_by, 1), "decompressor_held", HANDS_OFF),
    Scene("gdb on unpigz", scenes.in_gdb, "decompressor_held", HANDS_OFF),
    Scene("unpigz stopped again after a SIGCONT", scenes.stops_again, "decompressor_stopped", RESUME),
    Scene("a frozen disk", scenes.disk_freezes, "storage_stalled", HANDS_OFF, disk_mb=2000),
]

CASES = [
    Case(f"observe: {scene.name}", "same diagnosis; strace shows no effect", partial(observed, scene))
    for scene in SCENES
]
