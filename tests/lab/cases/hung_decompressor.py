"""unpigz stopped, spinning or blocked for ever in mid-layer, in every form that it takes in the field."""

from __future__ import annotations

from functools import partial

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import CONFIRMED_WITHIN_S, IMAGE_WITHIN_S, Case, Measured, check, hung
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.timeline import Timeline

CAUSES = {
    Fault.STOP: "decompressor_stopped",
    Fault.SPIN: "decompressor_spinning",
    Fault.PAUSE: "decompressor_blocked",
}
WORDS = {Fault.STOP: "stopped", Fault.SPIN: "spinning", Fault.PAUSE: "blocked for ever"}
FORMS = {Form.BINARY: "a binary", Form.LINK: "a link to pigz", Form.WRAPPER: "behind a wrapper script"}
MID_LAYER_BYTES = 150 * images.MB


def once(fault: Fault, form: Form) -> Measured:
    """The fault comes once: right cause, right pid, image there, dockerd not restarted."""
    with Lab() as lab:
        lab.unpigz.install(form)
        lab.registry.publish(images.BIG)
        with Agent(lab) as agent:
            lab.unpigz.arm(fault, MID_LAYER_BYTES, runs=1)
            dockerd = lab.dockerd.pid
            lab.pull(images.BIG)
            hung(lab)
            time = Timeline()
            time.mark("hung")
            culprit = lab.dockerd.decompressors[-1]  # behind a wrapper the program that it runs
            incident = time.mark_when("confirmed", lambda: _incident(agent, CAUSES[fault]))
            check(
                incident["culprit"]["pid"] == culprit,
                f"the culprit is {culprit}, not {incident['culprit']['pid']}",
            )
            time.mark_when("image", lambda: lab.has(images.BIG) or None)
            agent.incident(CAUSES[fault], "recovered", deadline_s=20.0)
            check(lab.dockerd.pid == dockerd, "dockerd was not restarted")
    return _measured(time)


def always() -> Measured:
    """The fault comes back at every pull: the decompressor is substituted, and the image arrives."""
    with Lab() as lab:
        lab.unpigz.install(Form.BINARY)
        lab.registry.publish(images.BIG)
        with Agent(lab) as agent:
            lab.unpigz.arm(Fault.PAUSE, MID_LAYER_BYTES)
            lab.pull(images.BIG)
            hung(lab)
            time = Timeline()
            time.mark("hung")
            time.mark_when("confirmed", lambda: _incident(agent, "decompressor_blocked"))
            time.mark_when("image", lambda: lab.has(images.BIG) or None, deadline_s=90.0)
            agent.incident("decompressor_blocked", "recovered", deadline_s=20.0)
            names = [action["name"] for one in agent.incidents() for action in one["actions"]]
            check("substitute_decompressor" in names, f"the decompressor is substituted: {names}")
    return _measured(time)


def _incident(agent: Agent, cause: str) -> dict[str, object] | None:
    return next((one for one in agent.incidents() if one["cause"] == cause), None)


def _measured(time: Timeline) -> Measured:
    confirmed, image = time.between("hung", "confirmed"), time.between("hung", "image")
    check(confirmed <= CONFIRMED_WITHIN_S, f"confirmed within {CONFIRMED_WITHIN_S} s, not {confirmed:.1f}")
    check(image <= IMAGE_WITHIN_S, f"the image is there within {IMAGE_WITHIN_S} s, not {image:.1f}")
    return Measured({"confirmed": confirmed, "image there": image})


CASES = [
    Case(
        f"unpigz {WORDS[fault]}, {FORMS[form]}",
        "right cause and pid; confirmed within 15 s, image within 45 s, no restart",
        partial(once, fault, form),
    )
    for fault in CAUSES
    for form in FORMS
] + [
    Case(
        "unpigz blocked at every pull",
        "substituted when it comes back; image within 45 s of the first hang",
        always,
    )
]
