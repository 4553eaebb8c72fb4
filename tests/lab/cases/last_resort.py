"""restart_runtime with containers that run: live-restore decides."""

from __future__ import annotations

from functools import partial

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, check, hung
from tests.lab.containers import is_running, running_container
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until

REMEDIES = {"kill_decompressor": "off", "substitute_decompressor": "off", "restart_runtime": "on"}


def restart(live_restore: bool) -> Measured:
    """A hung pull that only a restart may free, and a container beside it."""
    options = ["--live-restore"] if live_restore else []
    with Lab(options) as lab, running_container(lab) as container, Agent(lab, remedies=REMEDIES) as agent:
        daemon = lab.dockerd.pid
        lab.unpigz.install(Form.BINARY)
        lab.unpigz.arm(Fault.PAUSE, 8 * images.MB)
        pull = lab.pull(images.SMALL)
        hung(lab)
        action = wait_until(lambda: _ended_restart(agent), "the restart ended or was refused", 90.0, 0.5)
        check(is_running(lab, container), "the container runs on")
        said = f"{action['outcome']}: {action['detail']}"
        if live_restore:
            check(action["outcome"] == "done" and lab.dockerd.pid != daemon, said)
            check(pull.wait(20) != 0, "the hung pull has ended")
            lab.unpigz.disarm()
            check(lab.pull(images.SMALL).wait() == 0, "the next one ends well")
            agent.incident("decompressor_blocked", "recovered", deadline_s=20.0)
        else:
            check(action["outcome"] == "refused", said)
            check("1 container(s) run and live-restore is off" in action["detail"], said)
            check(lab.dockerd.pid == daemon and pull.running, "nothing was touched")
    return Measured(seen=said)


def _ended_restart(agent: Agent) -> dict[str, str] | None:
    actions = (action for one in agent.incidents() for action in one["actions"])
    return next((one for one in actions if one["name"] == "restart_runtime" and one["outcome"]), None)


CASES = [
    Case(
        "containers running, live-restore off",
        "restart_runtime is refused, with that reason",
        partial(restart, live_restore=False),
    ),
    Case(
        "containers running, live-restore on",
        "restart_runtime frees; the container runs on",
        partial(restart, live_restore=True),
    ),
]
