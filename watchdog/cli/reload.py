"""`pull-watchdog reload`: have the agent read its configuration again, and wait until it has.

The configuration is checked here first, so a wrong one does not reach the agent.
The process that is signalled is the one that holds the agent's lock, by the
kernel's own list: no file says which it is.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Any, Dict, Optional

from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, config_of
from watchdog.cli.statefile import read_state
from watchdog.errors import ConfigError, Deadline, NotRunning

_TAKEN_WITHIN_S = 45.0
_LOOK_EVERY_S = 0.2


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("reload", help="have the agent read its configuration again")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises ConfigError for a configuration that cannot be taken: the old one stays in force."""
    config = config_of(args)
    began_ns = time.monotonic_ns()
    if not _told(config.run_dir / "agent.lock"):
        raise NotRunning(f"no agent runs with {config.run_dir}: `systemctl start pull-watchdog`")
    problem = _after(config.run_dir, began_ns)["reload_problem"]
    if problem:
        raise ConfigError(problem)
    print(f"The agent goes by its configuration as it is now: {config.policy.mode.value} mode.")
    return ExitCode.OK


def _told(lock: Path) -> bool:
    """Send SIGHUP to who holds that lock, held by its pidfd: another with its number might die of it."""
    holder = lock_holder(lock)
    if holder is None:
        return False
    try:
        pidfd = os.pidfd_open(holder)
    except OSError:  # it has just ended
        return False
    try:
        if lock_holder(lock) != holder:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGHUP)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)


def lock_holder(path: Path) -> Optional[int]:
    """The process that holds a lock on that file, by /proc/locks; None without one."""
    try:
        inode = path.stat().st_ino
        device = path.stat().st_dev
    except FileNotFoundError:
        return None
    wanted = f"{os.major(device):02x}:{os.minor(device):02x}:{inode}"
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if "->" not in words and words[1] == "FLOCK" and words[5] == wanted:
            return int(words[4])
    return None


def _after(run_dir: Path, began_ns: int) -> Dict[str, Any]:
    """The agent's state, once it has read the configuration after that moment."""
    ends_at = time.monotonic() + _TAKEN_WITHIN_S
    while time.monotonic() < ends_at:
        state = read_state(run_dir).state
        if state["configured_monotonic_ns"] > began_ns:
            return state
        time.sleep(_LOOK_EVERY_S)
    raise Deadline(
        f"the agent has not read it within {_TAKEN_WITHIN_S:.0f} s: it does when the action that is "
        "under way has ended; see `pull-watchdog status`"
    )
