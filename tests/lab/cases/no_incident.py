"""What is slow, fast, busy or none of our business: no incident, in minutes."""

from __future__ import annotations

import gzip
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.lab import images, sight
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, check
from tests.lab.cases.observing import check_untouched
from tests.lab.faults import Fault
from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH, wait_until
from tests.lab.trace import Trace

MINUTES_S = 180.0
OBSERVED_S = 45.0  # several times what confirms an incident
AFTERWARDS_S = 5.0
SLOWEST, FASTEST = 25_000, 60_000  # bytes a second: half of 50 KB/s on a busy machine is still that slow
TEXT_LINES = 500_000  # more than a pager reads ahead
# A pager waits for a key on a terminal of its own; nobody presses one.
READING = 'sleep 3600 | TERM=xterm SHELL=/bin/sh script -qfc "unpigz -dc {file} | {pager}" /dev/null'


def no_incident(happen: Callable[[Lab], str], mode: str) -> Measured:
    """Something happens that is no incident; what it was, as it was seen."""
    with Lab() as lab:
        trace = Trace(lab.root / "strace")
        with Agent(lab, mode, under=trace.command if mode == "observe" else ()) as agent:
            wait_until(lambda: "answers" in agent.status(), "the agent knows the runtime")
            seen = happen(lab)
            time.sleep(AFTERWARDS_S)
            check(agent.incidents() == [], "no incident")
            check(agent.running, "the agent runs")
        if mode == "observe":
            check_untouched(trace, agent, lab)
    return Measured(seen=f"none; {seen}")


def slow_unpigz(seconds: float, lab: Lab) -> str:
    """A pull whose unpigz goes on at 50 KB/s."""
    lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW, 1 * images.MB)
    pull = lab.pull(images.SMALL)
    said = _crawls(lab, seconds)
    check(pull.running, "the pull is under way")
    return said


def slow_build(seconds: float, lab: Lab) -> str:
    """A `docker build` whose ADD decompresses at 50 KB/s."""
    lab.unpigz.install()
    lab.unpigz.arm(Fault.SLOW, 1 * images.MB)
    build = lab.build(images.SMALL)
    said = _crawls(lab, seconds)
    check(build.running, "the build is under way")
    return said


def full_speed(lab: Lab) -> str:
    """A 1 GB pull as fast as the machine can."""
    lab.registry.publish(images.HUGE)
    began = time.monotonic()
    check(lab.pull(images.HUGE).wait(300) == 0, "the pull ends well")
    return f"1 GB in {time.monotonic() - began:.0f} s"


def an_operators_own(seconds: float, lab: Lab) -> str:
    """An operator's own `unpigz -dc FILE | less`; without less, more."""
    text = lab.root / "text.gz"
    with gzip.open(text, "wt", compresslevel=1) as lines:
        lines.writelines(f"line {number} of a long text\n" for number in range(TEXT_LINES))
    pager = next(one for one in ("less", "more") if shutil.which(one, path=SYSTEM_PATH))
    command = ["sh", "-c", READING.format(file=text, pager=pager)]
    lab.cell.spawn(command, "operator", lab.root / "operator.log", {"PATH": SYSTEM_PATH})
    pid = wait_until(lambda: _named(lab.cell.group("operator"), "unpigz"), "the operator's unpigz runs")
    wait_until(lambda: _stands_still(pid, 1.0), "it stands still")
    check(_stands_still(pid, seconds), "it still stands still")
    return f"unpigz -dc before {pager} stood still for {seconds:.0f} s"


def _stands_still(pid: int, for_s: float) -> bool:
    before = sight.stage(pid)
    time.sleep(for_s)
    after = sight.stage(pid)
    return before is not None and after is not None and before.progress == after.progress


def _crawls(lab: Lab, seconds: float) -> str:
    pid = wait_until(lambda: _slow(lab), "unpigz is at its slow part")
    before = sight.stage(pid)
    time.sleep(seconds)
    after = sight.stage(pid)
    check(before and after, "unpigz is still at it")
    rate = (after.written_bytes - before.written_bytes) / seconds if before and after else 0.0
    check(SLOWEST < rate < FASTEST, f"it decompresses at 50 KB/s, not at {rate / 1000:.0f}")
    return f"unpigz at {rate / 1000:.0f} KB/s for {seconds:.0f} s"


def _slow(lab: Lab) -> int | None:
    stages = (sight.stage(pid) for pid in lab.dockerd.decompressors)
    return next((one.pid for one in stages if one and one.written_bytes >= images.MB), None)


def _named(group: Path, comm: str) -> int | None:
    stages = (sight.stage(int(pid)) for pid in (group / "cgroup.procs").read_text().split())
    return next((one.pid for one in stages if one and one.comm == comm), None)


def _cases(seconds: float, mode: str) -> list[Case]:
    before, wanted = ("observe: ", "; strace shows no effect") if mode == "observe" else ("", "")
    happenings: dict[str, Callable[[Lab], str]] = {
        "unpigz at 50 KB/s": partial(slow_unpigz, seconds),
        "a 1 GB pull at full speed": full_speed,
        "a slow docker build": partial(slow_build, seconds),
        "an operator's own unpigz standing still": partial(an_operators_own, seconds),
    }
    return [
        Case(f"{before}{name}", f"no incident{wanted}", partial(no_incident, happen, mode), once=True)
        for name, happen in happenings.items()
    ]


CASES = [*_cases(MINUTES_S, "enforce"), *_cases(OBSERVED_S, "observe")]
