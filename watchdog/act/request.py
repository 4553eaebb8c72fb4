"""What an agent may ask a remedy's process for, and the answer.

Law: a closed list of names, and never a pid, a path or a command: the process
that answers may have rights that the agent lacks, so it takes the configuration,
the ledger and the machine from itself.  One request a process.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from enum import Enum

from watchdog.act.gate import Who
from watchdog.act.revert import EXPIRED, revert, summary
from watchdog.act.run import run_remedy, settle_all
from watchdog.config import Config
from watchdog.core.codec import from_plain, to_plain
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import RecordingError, Refused, WatchdogError

WAIT_FOR_LOCK_S = 10.0
_UNDO_DEADLINE_S = 60.0
MOST_BYTES = 4096
_ACTION = re.compile(r"[a-z0-9_]{1,64}-[0-9a-f]{8}")  # not "all", nor a remedy: those are for people


class Verb(str, Enum):
    """What is to be done."""

    ACT = "act"
    UNDO = "undo"
    UNDO_EXPIRED = "undo_expired"
    SETTLE = "settle"  # find out what became of actions that were cut short


@dataclass(frozen=True)
class Request:
    """`action`: the name that an action is to have, or of the one to undo."""

    verb: Verb
    remedy: str = ""
    incident: str = ""
    action: str = ""

    def to_json(self) -> bytes:
        """One line."""
        return json.dumps(to_plain(self)).encode() + b"\n"


def from_json(line: bytes) -> Request:
    """Raises Refused for anything that is not a request."""
    try:
        request: Request = from_plain(Request, json.loads(line))
    except (ValueError, RecordingError) as error:
        raise Refused(f"not a request: {error}") from None
    if request.verb is Verb.ACT and request.remedy not in {one.value for one in Remedy}:
        raise Refused(f'no remedy is called "{request.remedy}"')
    if request.verb in (Verb.ACT, Verb.UNDO) and not _ACTION.fullmatch(request.action):
        raise Refused("not a request: that cannot be the name of an action")
    return request


def deadline_s(config: Config, request: Request) -> float:
    """How long its process may take."""
    if request.verb is Verb.ACT:
        return config.deadlines_ns[Remedy(request.remedy)] / 1e9 + WAIT_FOR_LOCK_S
    return _UNDO_DEADLINE_S


def answer(config: Config, line: bytes) -> str:
    """Do what is asked, within its deadline; one line of JSON with "outcome" and "detail".

    At the deadline the kernel ends this process, wherever it is.
    """
    try:
        request = from_json(line)
        signal.setitimer(signal.ITIMER_REAL, deadline_s(config, request))
        return _done(config, request)
    except Refused as error:
        return refusal(str(error))
    except WatchdogError as error:
        return json.dumps({"outcome": Outcome.FAILED.value, "detail": str(error)})


def refusal(reason: str) -> str:
    """The answer when nothing was done."""
    return json.dumps({"outcome": Outcome.REFUSED.value, "detail": reason})


def _done(config: Config, request: Request) -> str:
    if request.verb is Verb.ACT:
        remedy = Remedy(request.remedy)
        return run_remedy(config, remedy, request.incident, who=Who.AGENT, action=request.action).to_json()
    if request.verb is Verb.SETTLE:
        return json.dumps({"outcome": Outcome.DONE.value, "detail": "; ".join(settle_all(config))})
    return summary(revert(config, request.action if request.verb is Verb.UNDO else EXPIRED))
