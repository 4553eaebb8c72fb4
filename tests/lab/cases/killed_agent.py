"""The agent killed (-9) around every step of every remedy: a new one ends the story, with one effect.

What was done is counted by a witness that is not ours: strace, the registry's log,
or dockerd's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import IMAGE_WITHIN_S, Case, Measured, check
from tests.lab.clients import Client
from tests.lab.faults import ALWAYS, Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.trace import Trace

POINTS = ("before_intent", "after_intent", "after_effect", "after_result")
REMEDY_BEGINS_S = 90.0
OVER_S = 60.0

Witness = Callable[[Lab, Sequence[Trace]], int]


@dataclass(frozen=True)
class Trial:
    """How an agent comes to take a remedy, and who counts what it has done.

    `most`: how many effects the witness may count; `word` is what it counts.
    `cuts`: the remedy ends the pull, which nobody brings back.
    """

    fault: Fault
    word: str
    witness: Witness
    runs: int = 1
    most: int = 1
    cuts: bool = False
    under_strace: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


def around(remedy: str, point: str) -> Measured:
    """The remedy's process and the agent are killed there; a new agent ends the story."""
    trial = TRIALS[remedy]
    with Lab() as lab:
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(trial.fault, 8 * images.MB, trial.runs)
        agent = Agent(lab, **trial.options)
        _let_it_write_the_environment(agent, lab)
        traces = [Trace(lab.root / name) for name in ("strace-1", "strace-2")] if trial.under_strace else []
        under = [trace.command for trace in traces] or [[], []]
        agent.start(under=under[0], PULL_WATCHDOG_TEST_CRASH=f"{remedy}:{point}")
        with agent:
            pull = lab.pull(images.SMALL)
            killed = partial(_ended_without_a_word, agent, remedy)
            wait_until(killed, f"{remedy} is killed {point}", REMEDY_BEGINS_S)
            agent.kill()
        agent.start(under=under[1])
        with agent:
            _image_comes(lab, pull, trial)
            wait_until(lambda: _all_over(agent), "the story is over", OVER_S, every_s=0.5)
        made = trial.witness(lab, traces)
    check(made <= trial.most, f"at most {trial.most} {trial.word}, not {made}")
    return Measured(seen=f"{made} {trial.word}, image there")


def _let_it_write_the_environment(agent: Agent, lab: Lab) -> None:
    content = yaml.safe_load(agent.config.read_text())
    content["runtimes"][0]["env_file"] = str(lab.dockerd.environment)
    agent.configure(content)


def _image_comes(lab: Lab, pull: Client, trial: Trial) -> None:
    if trial.cuts:
        wait_until(lambda: not pull.running, "the hung pull ends", IMAGE_WITHIN_S)
        wait_until(lambda: lab.pull(images.SMALL).wait() == 0, "the next pull ends well", IMAGE_WITHIN_S)
    wait_until(lambda: lab.has(images.SMALL) or None, "the image is there", IMAGE_WITHIN_S)


def _ended_without_a_word(agent: Agent, remedy: str) -> bool:
    taken = [action for one in agent.incidents() for action in one["actions"] if action["name"] == remedy]
    return any(action["outcome"] is not None for action in taken)


def _all_over(agent: Agent) -> bool:
    return all(one["resolved_at"] for one in agent.incidents())


# --- witnesses ------------------------------------------------------------------------


def _signals(name: str, lab: Lab, traces: Sequence[Trace]) -> int:
    """The most that one process got of that signal."""
    sent = [pid for trace in traces for signal, pid in trace.signals_to() if signal == name]
    return max((sent.count(pid) for pid in sent), default=0)


def _links(lab: Lab, traces: Sequence[Trace]) -> int:
    made = [line for trace in traces for line in trace.lines() if " symlinkat(" in line]
    return sum('"unpigz")' in line and line.endswith("= 0") for line in made)


def _fetches(lab: Lab, traces: Sequence[Trace]) -> int:
    (layer,) = images.build(images.SMALL).layers
    return len(lab.registry.accesses(layer.digest))


def _starts(lab: Lab, traces: Sequence[Trace]) -> int:
    return lab.dockerd.log_text().count('msg="Starting up"')


TRIALS = {
    "resume": Trial(Fault.STOP, "SIGCONT", partial(_signals, "SIGCONT")),
    "kill_decompressor": Trial(Fault.PAUSE, "SIGKILL", partial(_signals, "SIGKILL")),
    "repull": Trial(Fault.PAUSE, "fetches of the layer, the client's own among them", _fetches, most=2),
    "substitute_decompressor": Trial(Fault.PAUSE, "link", _links, ALWAYS),
    "disable_pigz": Trial(
        Fault.PAUSE,
        "starts of dockerd, the first among them",
        _starts,
        ALWAYS,
        most=2,
        cuts=True,
        under_strace=False,  # it would trace the new dockerd, too
        options={
            "remedies": {"substitute_decompressor": "off", "disable_pigz": "on"},
            "budgets": {"kill_decompressor": {"count": 1, "window": "24h"}},
        },
    ),
    "restart_runtime": Trial(
        Fault.PAUSE,
        "starts of dockerd, the first among them",
        _starts,
        most=2,
        cuts=True,
        under_strace=False,
        options={"remedies": {"kill_decompressor": "off", "restart_runtime": "on"}},
    ),
}

CASES = [
    Case(
        f"agent and {remedy} killed {point}",
        "it converges; at most one effect",
        partial(around, remedy, point),
        once=True,
    )
    for remedy in TRIALS
    for point in POINTS
]
