"""The agent's hand: starts an action as a process of its own and tells how it ended.

Law: nothing here waits.  An action that overruns its deadline is killed and
reported as expired, its effect unknown; one that cannot be killed is left
behind, so a stuck remedy never hangs the agent.  At most one action at a time
changes the machine; a repull only waits for a download, and does not count.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import watchdog
from watchdog.act.request import Request, Verb, deadline_s, refusal
from watchdog.act.run import new_action_id
from watchdog.config import Config
from watchdog.core.observation import ActionFinished, ActionStarted, Observation, Outcome
from watchdog.core.policy import Mode, Remedy
from watchdog.host import command, privileged

_TAKE_OVER = "take_over"
_REPULL = Remedy.REPULL.value
_MOST_ANSWER_BYTES = 1 << 20
# In isolated mode (-I) neither the environment nor the current directory decides what is imported.
_ENTRY = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('watchdog', run_name='__main__')"
)


@dataclass(frozen=True)
class Order:
    """An action that was started."""

    started: ActionStarted
    running: command.Running


class Executor:
    """Starts the actions of one agent.  `fileno` is readable when one of them has ended."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._orders: Dict[str, Order] = {}
        self._news: List[Observation] = []
        self._ends = selectors.EpollSelector()
        if config.policy.mode is Mode.ENFORCE:
            self._take_over()

    @property
    def in_flight(self) -> str:
        """The remedy that keeps others from acting, or else a repull that is under way, or ""."""
        remedies = [one.started.remedy for one in self._orders.values() if one.started.remedy != _TAKE_OVER]
        return next((one for one in remedies if one != _REPULL), remedies[0] if remedies else "")

    def fileno(self) -> int:
        return self._ends.fileno()

    def start(self, remedy: str, incident: str) -> str:
        """Start a remedy; the id of the action.  While another one is in flight it ends at once, refused."""
        action = new_action_id(Remedy(remedy))
        started = ActionStarted(action, incident, remedy)
        if self.in_flight not in ("", _REPULL):
            refusal = f"{self.in_flight} is in flight"
            self._news += [started, ActionFinished(action, incident, remedy, Outcome.REFUSED, refusal)]
            return action
        self._start(started, Request(Verb.ACT, remedy, incident, action))
        return action

    def undo(self, action: str, remedy: str, incident: str) -> None:
        """Start the undoing of a lasting change."""
        started = ActionStarted(f"undo-{action}", incident, f"undo_{remedy}")
        self._start(started, Request(Verb.UNDO, remedy, incident, action))

    def observe(self) -> Tuple[Observation, ...]:
        """What began and ended since the last call."""
        for order in list(self._orders.values()):
            completed = order.running.poll()
            if completed is not None:
                self._finish(order, completed)
        news, self._news = tuple(self._news), []
        return news

    def close(self) -> None:
        """Stop looking.  What was started goes on to its end."""
        for order in self._orders.values():
            order.running.close()
        self._ends.close()

    def _start(self, started: ActionStarted, request: Request) -> None:
        running = _performed(self._config, request)
        self._orders[started.action] = Order(started, running)
        self._ends.register(running.fileno(), selectors.EVENT_READ)
        if started.remedy != _TAKE_OVER:
            self._news.append(started)

    def _take_over(self) -> None:
        """An agent before us may have been killed, and the machine restarted.

        The ledger learns what its actions have done, and what has outlived its time is undone.
        """
        self._start(ActionStarted("settle", "", _TAKE_OVER), Request(Verb.SETTLE))
        self._start(ActionStarted("expired", "", _TAKE_OVER), Request(Verb.UNDO_EXPIRED))

    def _finish(self, order: Order, completed: command.Completed) -> None:
        started = order.started
        del self._orders[started.action]
        self._ends.unregister(order.running.fileno())
        order.running.close()
        if started.remedy != _TAKE_OVER:
            outcome, detail = outcome_of(completed)
            finished = ActionFinished(started.action, started.incident, started.remedy, outcome, detail)
            self._news.append(finished)


def _performed(config: Config, request: Request) -> command.Running:
    """`pull-watchdog perform`, started by us, or where we have no rights by the service manager."""
    path, patience_s = privileged.socket_path(), deadline_s(config, request)
    if path is None:
        return command.start(command_line(config), patience_s, stdin=request.to_json())
    return command.Running(lambda: _ask(path, request, patience_s), (path,), patience_s)


def command_line(config: Config) -> List[str]:
    """Our own command in a process of its own, with this interpreter and this package."""
    home = str(Path(watchdog.__file__).resolve().parents[1])
    chosen = ["-c", os.fspath(config.path)] if config.path else []
    return [sys.executable, "-I", "-c", _ENTRY, home, "perform", *chosen]


def _ask(path: str, request: Request, patience_s: float) -> command.Completed:
    """Send it to the socket of another unit, and wait for the answer on this thread."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(patience_s)
        try:
            channel.connect(path)
            channel.sendall(request.to_json())
        except OSError as error:
            said = refusal(f"{path} takes no requests ({error}): is its unit running?")
            return command.Completed((path,), None, said.encode())
        try:
            with channel.makefile("rb") as stream:
                return command.Completed((path,), None, stream.read(_MOST_ANSWER_BYTES))
        except socket.timeout:
            return command.Completed((path,), None, expired=True)
        except OSError as error:
            return command.Completed((path,), None, stderr=str(error).encode())


def outcome_of(completed: command.Completed) -> Tuple[Outcome, str]:
    """How an action's process ended, by the JSON that it printed, or without it."""
    if completed.expired:
        return Outcome.EXPIRED, "its deadline passed; what it has done is not known"
    try:
        told: Dict[str, Any] = json.loads(completed.stdout)
        return Outcome(told["outcome"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        said = completed.stderr.decode("utf-8", "replace").strip().splitlines()
        ending = said[-1] if said else f"status {completed.status}"
        return Outcome.EXPIRED, f"its process ended without a word of the result: {ending}"
