"""What the machine shows of a runtime that does not answer: its containers, its settings, its swarm.

Law: this is for a restart, so what cannot be seen counts as what forbids one.
A container's shim is a process of root's that outlives a runtime, and the files
are root's; nobody with fewer rights can hide them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Sequence, Set

from watchdog.act.daemon_command import DaemonCommand, command_of
from watchdog.act.dump_goroutines import exec_root
from watchdog.act.identity import Subject
from watchdog.errors import ProcessGone, WatchdogError
from watchdog.host import birth, proc

_SHIM = "containerd-shim"  # as long as a comm gets: of runc, runsc, kata
_OF_THE_SYSTEM = "/run/containerd/containerd.sock"
_LIVE_RESTORE = "live-restore"
_SWARM = "swarm/docker-state.json"


def containers(daemon: Subject) -> int:
    """How many shims serve the containerd of this runtime."""
    started = command_of(daemon)
    ours = {_real(started.option("--containerd") or _OF_THE_SYSTEM)}
    ours.add(_real(f"{exec_root(daemon)}/containerd/containerd.sock"))
    return sum(_is_shim_of(pid, ours) for pid in proc.pids())


def has_live_restore(daemon: Subject) -> bool:
    """Whether it was started with live-restore for certain."""
    started = command_of(daemon)
    if {f"--{_LIVE_RESTORE}", f"--{_LIVE_RESTORE}=true"} & set(started.words):
        return True
    path = Path(started.config_file)
    try:
        is_older = path.stat().st_ctime_ns < birth.started_wall_ns(daemon.key)
    except OSError:
        return False
    return is_older and _settings(started).get(_LIVE_RESTORE) is True


def is_in_swarm(daemon: Subject) -> bool:
    """Whether its data say that it is a member of a swarm."""
    started = command_of(daemon)
    told = started.option("--data-root") or _settings(started).get("data-root")
    try:
        return (Path(str(told or "/var/lib/docker")) / _SWARM).exists()
    except OSError:
        return True


def _settings(started: DaemonCommand) -> Dict[str, Any]:
    try:
        value = json.loads(Path(started.config_file).read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_shim_of(pid: int, addresses: Set[str]) -> bool:
    try:
        with proc.Process(pid) as process:
            if process.seen.comm != _SHIM or process.seen.state in proc.ENDED_STATES:
                return False
            words = birth.arguments(process.key)
    except ProcessGone:
        return False
    except WatchdogError:
        return True
    return _address(words) in ({""} | addresses)


def _address(words: Sequence[str]) -> str:
    """The socket of the containerd that a shim serves; "" where it does not tell."""
    for word, following in zip(words, words[1:]):
        if word.lstrip("-") == "address":
            return _real(following)
    return ""


def _real(path: str) -> str:
    return os.path.realpath(path.partition("unix://")[2] or path)
