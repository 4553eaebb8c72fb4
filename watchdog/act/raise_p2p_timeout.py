"""raise_p2p_timeout: give pieces more time, by one line of the P2P client's configuration.

The key is the one that this generation knows: the Rust client has
download.pieceTimeout, the Go daemon download.pieceDownloadTimeout, and each ignores
the other's without a word.  Nothing else in the file changes, not a byte.

It is in force only after a restart, so every condition of restart_p2p holds, and
the line is put back when there is no restart.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from watchdog.act import restart_p2p, whole_file
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.restart_p2p import RestartedP2p, find_client
from watchdog.act.settings import ActSettings
from watchdog.core.causes.finding import Cause
from watchdog.core.dragonfly import Keys
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import Refused, WatchdogError
from watchdog.host import proc, yaml_line
from watchdog.host.p2p import P2pClient

_UNITS_S = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Raised:
    """The line before and after, and what the whole file was; the restart that puts it in force."""

    path: str
    key: str
    old: str
    new: str
    digest_before: str
    digest_after: str
    restart: RestartedP2p

    @property
    def keys(self) -> Keys:
        return tuple(self.key.split("."))


def plan(context: Context) -> Plan[Raised]:
    """Check the line, the file, then everything that a restart needs."""
    client = find_client(context)
    path, keys, new = (
        _file(client),
        client.product.timeout,
        restart_p2p.wanted(context.settings).piece_timeout,
    )
    before = whole_file.read(path)
    old = _lower_value(before, client, new)
    after = yaml_line.with_scalar(before, keys, new)
    if yaml_line.with_scalar(after, keys, old) != before:
        raise Refused(f"{'.'.join(keys)} in {path} is written in a way that could not be put back exactly")
    restart = restart_p2p.plan(context)
    key = ".".join(keys)
    return Plan(
        steps=(f"change {key} in {path} from {old} to {new}, and nothing else there", *restart.steps),
        memory=Raised(str(path), key, old, new, _digest(before), _digest(after), restart.memory),
        expires_wall_ns=context.wall_ns + context.settings.expiries_ns[Remedy.RAISE_P2P_TIMEOUT],
    )


def effect(context: Context, intended: Plan[Raised]) -> Made:
    """Write the line and restart; without a restart, or a client that comes up with it, it is put back."""
    memory = intended.memory
    path = Path(memory.path)
    before = whole_file.read(path)
    if _digest(before) != memory.digest_before:
        raise Refused(f"somebody has changed {path} since it was looked at")
    whole_file.replace_text(path, before, yaml_line.with_scalar(before, memory.keys, memory.new))
    deadline_ns = context.settings.deadlines_ns[Remedy.RAISE_P2P_TIMEOUT] - int(restart_p2p.START_S * 1e9)
    try:
        made = restart_p2p.perform(context, memory.restart, deadline_ns)
    except WatchdogError:
        if not memory.restart.pid or proc.is_alive(memory.restart.key):
            with suppress(WatchdogError):  # what stopped the restart is the news
                put_back(memory)
        raise
    if made.outcome is not Outcome.DONE:
        return Made(
            made.outcome,
            f"{made.detail}; {put_back(memory)}; {restart_p2p.bring_up(context, memory.restart)}",
        )
    return Made(
        made.outcome, f"{memory.key} is {memory.new} now, not {memory.old}; {made.detail}", made.extra
    )


def trace(context: Context, memory: Raised) -> Trace:
    """As for a restart; a line that no restart has put in force is put back."""
    now = _digest(whole_file.read(Path(memory.path)))
    if now == memory.digest_before:
        return Trace.NONE
    if now != memory.digest_after:
        return Trace.UNKNOWN
    found = restart_p2p.trace(context, memory.restart)
    if found is Trace.NONE:
        put_back(memory)
    return found


def undo(_: ActSettings, memory: Raised) -> Made:
    """Put the line back.  The running client keeps the new value until somebody restarts it."""
    said = put_back(memory)
    return Made(Outcome.DONE, f"{said}; the running client keeps what it has until its next start")


def put_back(memory: Raised) -> str:
    """The old value where ours stands; with nothing else changed since, these are the old bytes."""
    path = Path(memory.path)
    text = whole_file.read(path)
    if yaml_line.scalar(text, memory.keys) != memory.new:
        return f"{memory.key} in {path} is not ours any more: it is left as it is"
    whole_file.replace_text(path, text, yaml_line.with_scalar(text, memory.keys, memory.old))
    return f"{memory.key} in {path} is {memory.old} again"


def _file(client: P2pClient) -> Path:
    """Its configuration on this host; Refused where that is not what the client reads."""
    path = Path(client.config)
    whole_file.check(path)
    if client.process is not None:
        try:
            theirs, ours = Path(f"/proc/{client.process.pid}/root{path}").stat(), path.stat()
        except OSError as error:
            raise Refused(f"{path} cannot be compared: {error.strerror}") from error
        if (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino):
            raise Refused(f"the client reads another {path} than ours: it has a root of its own")
    return path


def _lower_value(text: str, client: P2pClient, new: str) -> str:
    """What is written there now; Refused where no more time would be given."""
    product = client.product
    if not product.timeout:
        raise Refused("Dragonfly 1 has no time-out of pieces that could be raised")
    key, old = ".".join(product.timeout), yaml_line.scalar(text, product.timeout)
    if old is None:
        raise Refused(f"{key} is not written in {client.config}: add {key}: {new} there")
    was_s, will_be_s = seconds_of(old), seconds_of(new)
    if was_s is None or will_be_s is None:
        raise Refused(f"{key} is {old}, which is no time that we understand")
    if was_s >= will_be_s:
        raise Refused(f"{key} is {old} already: the source is too slow, or silent")
    return old


def seconds_of(text: str) -> Optional[float]:
    """Of "30s", "1m30s" or "2h 30min", as both generations write a time; None for anything else."""
    if not re.fullmatch(r"(?:\d+(?:\.\d+)?(?:ms|s|sec|m|min|h)\s*)+", text):
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|sec|s|min|m|h)", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


RAISE_P2P_TIMEOUT = RemedyCode(
    name=Remedy.RAISE_P2P_TIMEOUT,
    causes=frozenset({Cause.P2P_PIECE_TIMEOUT}),
    memory=Raised,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
