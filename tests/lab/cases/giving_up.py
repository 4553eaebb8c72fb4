"""A fault that comes back at every pull: the budget ends, and a person may start anew."""

from __future__ import annotations

import time

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check, hung
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until

KILLS = 2


def budget_spent() -> Measured:
    """With substitution off and two kills a day: GAVE_UP, no more actions, until `ack`."""
    with Lab() as lab:
        options = {
            "remedies": {"substitute_decompressor": "off"},
            "budgets": {"kill_decompressor": {"count": KILLS, "window": "24h", "cooldown": "1s"}},
        }
        with Agent(lab, **options) as agent:
            lab.unpigz.install(Form.BINARY)
            lab.unpigz.arm(Fault.SPIN, 8 * images.MB)
            lab.pull(images.SMALL)
            hung(lab)
            incident = agent.incident("decompressor_spinning", "gave_up", deadline_s=90.0)
            check("budget" in incident["next"], f"it says why: {incident['next']}")
            done = actions(agent)
            check(done.count("kill_decompressor") == KILLS, f"{KILLS} kills: {done}")
            time.sleep(8.0)
            check(actions(agent) == done, "no more actions")
            check(agent.metrics()["pull_watchdog_gave_up"] == 1, "the metric says so")
            check("gave up" in agent.log_text(), "the log says so")
            lab.unpigz.disarm()
            agent.command("ack", incident["id"])
            wait_until(lambda: lab.has(images.SMALL) or None, "the image, after `ack`", 60.0)
            check(agent.metrics()["pull_watchdog_gave_up"] == 0, "nothing is given up any more")
    return Measured(seen=f"{KILLS} kills, then gave up; after ack the image came")


CASES = [Case("the fault comes back at every pull", "budget spent, GAVE_UP, `ack` starts anew", budget_spent)]
