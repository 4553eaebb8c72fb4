"""restart_p2p: restart the P2P client of this node, while nothing moves through it.

A restart loses what the client has not finished, for this node and for all that
fetch from it.  So it waits for a moment in which nothing moves, and it is done by
whoever owns the client: its unit, or the command of the configuration.  A client
in a pod is its cluster's to restart.  It has worked when another process listens
in its place and answers.

The same process cannot be restarted twice: where the old one lives, there was no
restart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import List, Optional

from watchdog.act import systemctl
from watchdog.act.identity import check_not_held, held
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.settings import ActSettings
from watchdog.config_p2p import P2pConfig
from watchdog.core.causes.finding import Cause
from watchdog.core.causes.p2p import CAUSES
from watchdog.core.observation import Api, Outcome, ProcessKey
from watchdog.core.policy import Remedy
from watchdog.errors import Refused
from watchdog.host import command, p2p, proc
from watchdog.host.p2p import P2pClient

IDLE_FOR_S = 2.0
_LEFT_FOR_RESULT_S = 5.0
START_S = 60.0
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class RestartedP2p:
    """The process to be replaced; pid 0: it was down."""

    address: str
    pid: int
    start_ticks: int

    @property
    def key(self) -> ProcessKey:
        return ProcessKey(self.pid, self.start_ticks)


def plan(context: Context) -> Plan[RestartedP2p]:
    """Check whose client it is, and last that nothing moves through it: that holds for moments only."""
    client = find_client(context)
    words = restart_words(context.settings, client)
    check_idle(client)
    return Plan(
        steps=(f"run `{' '.join(words)}`, which restarts {_name(client)} at {client.address}",),
        memory=remember(client),
    )


def effect(context: Context, intended: Plan[RestartedP2p]) -> Made:
    """Restart it and wait for the new process."""
    return perform(context, intended.memory, context.settings.deadlines_ns[Remedy.RESTART_P2P])


def perform(context: Context, memory: RestartedP2p, deadline_ns: int) -> Made:
    """Restart it within a deadline, as a step of whatever remedy has that deadline."""
    ends_at = time.monotonic() + deadline_ns / 1e9 - _LEFT_FOR_RESULT_S
    client = find_client(context)
    if remember(client) != memory:
        raise Refused("another process is the P2P client by now")
    words = restart_words(context.settings, client)
    done = command.run(words, max(1.0, ends_at - time.monotonic()))
    new = _await_new(context, memory, ends_at if done.succeeded else 0.0)
    if new is None:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        why = f": {said[-1]}" if said else ""
        return Made(Outcome.FAILED, f"`{' '.join(words)}` was run, and no new process answers{why}")
    text = f"process {new.pid} has replaced {memory.pid}" if memory.pid else f"process {new.pid} is up"
    return Made(Outcome.DONE, f"{text} at {memory.address}", {"old_pid": memory.pid, "new_pid": new.pid})


def bring_up(context: Context, memory: RestartedP2p) -> str:
    """Start the client again where a restart has left none; what became of it."""
    client = find_client(context)
    if client.process is not None:
        return f"process {client.process.pid} listens at {client.address}"
    command.run(restart_words(context.settings, client), START_S)
    new = _await_new(context, memory, 0.0)
    return f"started once more: process {new.pid}" if new else "it did not come up when started once more"


def trace(context: Context, memory: RestartedP2p) -> Trace:
    """The old process tells: it has ended, or nobody has asked it to.  One that was down is up, or not."""
    if memory.pid:
        return Trace.NONE if proc.is_alive(memory.key) else Trace.MADE
    client = p2p.find(wanted(context.settings))
    return Trace.MADE if client is not None and client.process is not None else Trace.NONE


def find_client(context: Context) -> P2pClient:
    """The client that the incident is about, found anew.  Refused where it is not certain."""
    client, target = p2p.find(wanted(context.settings)), context.incident.target
    if client is None:
        raise Refused("there is no Dragonfly client on this node")
    if target is None or client.address != target.endpoint or client.generation.value != target.reason:
        raise Refused(f"the client at {client.address} is not the one of this incident")
    if client.managed_by == p2p.KUBERNETES:
        raise Refused("it runs in a pod, and its configuration comes from there: change its chart's values")
    if client.process is not None:
        with held(client.process) as subject:
            check_not_held(subject)
    return client


def restart_words(settings: ActSettings, client: P2pClient) -> List[str]:
    """The command that restarts it; Refused where nobody said how, or another process is its unit's."""
    said = wanted(settings)
    if said.restart:
        return list(said.restart)
    unit = said.service or client.product.unit
    if client.managed_by == p2p.CONTAINER or not unit:
        raise Refused("how it is restarted is not known: write `p2p: restart: [...]` into the configuration")
    main = systemctl.show(unit, "MainPID").get("MainPID", "0")
    if client.process is not None and main != str(client.process.pid):
        raise Refused(f"the process of {unit} is {main}, and {client.process.pid} is the client")
    return systemctl.restart(unit)


def check_idle(client: P2pClient) -> None:
    """Refused while anything moves through it: a restart would lose that."""
    if client.process is None:
        return
    before = p2p.traffic(client.process)
    time.sleep(IDLE_FOR_S)
    if p2p.moves(before, p2p.traffic(client.process)):
        raise Refused("transfers go through it, which a restart would lose")


def remember(client: P2pClient) -> RestartedP2p:
    """What the intent keeps of it."""
    key = client.process or ProcessKey(0, 0)
    return RestartedP2p(client.address, key.pid, key.start_ticks)


def wanted(settings: ActSettings) -> P2pConfig:
    """What the configuration says of the client; Refused where it is switched off."""
    if settings.p2p is None:
        raise Refused("the configuration says `p2p: off`")
    return settings.p2p


def _await_new(context: Context, memory: RestartedP2p, ends_at: float) -> Optional[ProcessKey]:
    """The process that answers in the old one's place; None when none did in time."""
    while True:
        new = p2p.find(wanted(context.settings))
        if new is not None and new.process not in (None, memory.key) and _serves(new, memory.address):
            return new.process
        if time.monotonic() > ends_at:
            return None
        time.sleep(_LOOK_EVERY_S)


def _serves(client: P2pClient, address: str) -> bool:
    return client.address == address and client.api in (Api.ANSWERS, None)


def _name(client: P2pClient) -> str:
    return f"{client.product.comm} (pid {client.process.pid})" if client.process else client.product.comm


RESTART_P2P = RemedyCode(
    name=Remedy.RESTART_P2P,
    causes=CAUSES | {Cause.MIRROR_FAILING},
    memory=RestartedP2p,
    plan=plan,
    effect=effect,
    trace=trace,
    why_not_undone="a restarted client is a new process; the old one does not come back",
)
