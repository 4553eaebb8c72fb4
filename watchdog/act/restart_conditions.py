"""Everything that forbids a restart of the runtime.

Law: each rule is a function with the harm that it prevents; all that apply are
told at once, so that a person sees the whole list.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from watchdog.act import last_answer, package_manager, sessions, systemctl
from watchdog.act.daemon_command import configuration_faults
from watchdog.act.identity import Subject, check_not_held
from watchdog.act.last_answer import LastAnswer
from watchdog.act.progress import downloads_of, extractions_of
from watchdog.act.settings import ActSettings
from watchdog.errors import ProcessGone, Refused, WatchdogError
from watchdog.host import birth, proc

_MOVES_WITHIN_S = 1.0
# What else restarts container runtimes by itself: two of us would fight.
RIVALS = {
    "monit": "",
    "node-problem-de": "health-checker",  # restarts only with this plugin in its arguments
    "health-monitor.": "",
    "kube-container-": "",
}


def check(settings: ActSettings, daemon: Subject) -> LastAnswer:
    """What the runtime said of itself; Refused with every reason against a restart."""
    check_not_held(daemon)
    if set(daemon.process.states()) == {"T"}:
        raise Refused("it is stopped by a signal: resume frees it, a restart is not needed")
    answer = last_answer.ask(settings, daemon)
    rules: Tuple[Callable[[], List[str]], ...] = (
        lambda: _no_way(settings),
        lambda: _containers(answer),
        lambda: sessions.of_clients(settings, daemon),
        lambda: sessions.of_execs(settings) if answer.is_fresh else [],
        lambda: _unit(settings),
        _packages,
        rivals,
        lambda: _moving(daemon),
        lambda: configuration_faults(daemon),
    )
    reasons = [reason for rule in rules for reason in _asked(rule)]
    if reasons:
        raise Refused("; ".join(reasons))
    return answer


def _asked(rule: Callable[[], List[str]]) -> List[str]:
    """A rule that cannot be checked forbids."""
    try:
        return rule()
    except WatchdogError as error:
        return [str(error)]


def _no_way(settings: ActSettings) -> List[str]:
    runtime = settings.runtime
    if runtime.service is None and not runtime.restart:
        return [f"the configuration names neither a service nor a restart command for {runtime.name}"]
    return []


def _containers(answer: LastAnswer) -> List[str]:
    reasons = []
    if answer.containers_running and not answer.live_restore:
        reasons.append(
            f"{answer.containers_running} container(s) run and live-restore is off: a restart ends them"
        )
    if answer.swarm:
        reasons.append("it is a member of a swarm")
    return reasons


def _unit(settings: ActSettings) -> List[str]:
    """Units that systemd would restart with this one, and a start limit that would leave it failed."""
    unit = settings.runtime.service
    if unit is None:
        return []
    shown = systemctl.show(
        unit,
        *("RequiredBy", "BoundBy", "ConsistsOf", "LoadState", "StartLimitBurst"),
        *("StartLimitIntervalUSec", "ActiveEnterTimestampMonotonic"),
    )
    if shown.get("LoadState") != "loaded":
        return [f"systemd does not know {unit}"]
    bound = [f"{name}={shown[name]}" for name in ("RequiredBy", "BoundBy", "ConsistsOf") if shown.get(name)]
    reasons = [f"other units go down with {unit}: {' '.join(bound)}"] if bound else []
    return reasons + start_limit(unit, shown, time.monotonic_ns() // 1000)


def start_limit(unit: str, shown: Mapping[str, str], now_us: int) -> List[str]:
    """systemd does not tell how many starts are left, so only a whole free interval is certain."""
    interval_us = microseconds(shown.get("StartLimitIntervalUSec", ""))
    burst, started = shown.get("StartLimitBurst", ""), shown.get("ActiveEnterTimestampMonotonic", "")
    if interval_us is None or not burst.isdigit() or not started.isdigit():
        return [f"the start limit of {unit} cannot be read"]
    ago_us = now_us - int(started)
    if int(burst) and interval_us and ago_us < interval_us:
        return [f"{unit} was started {ago_us // 1_000_000} s ago: its start limit might be used up"]
    return []


def microseconds(text: str) -> Optional[int]:
    """A time span as `systemctl show` prints it ("1min", "10s", "1min 30s", "0"); None for another text."""
    units = {"us": 1, "ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 24 * 3600 * 10**6}
    if text in ("0", "infinity"):
        return 0  # no limit either way
    total = 0
    for word in text.split():
        digits = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        if not digits.isdigit() or word[len(digits) :] not in units:
            return None
        total += int(digits) * units[word[len(digits) :]]
    return total or None


def _packages() -> List[str]:
    busy = package_manager.running()
    return [f"{busy} is installing packages"] if busy else []


def rivals(known: Mapping[str, str] = RIVALS) -> List[str]:
    """The programs of that list that run now, by comm and a word of their arguments."""
    found = []
    for pid in proc.pids():
        try:
            with proc.Process(pid) as process:
                comm, key = process.stat().comm, process.key
            mark = known.get(comm)
            if mark is not None and mark in " ".join(birth.arguments(key)):
                found.append(f"{comm} (pid {pid}) may restart the runtime too")
        except ProcessGone:
            continue
    return found


def _moving(daemon: Subject) -> List[str]:
    """A pull, a load or a build that still moves would be cut off."""
    before = _progress(daemon)
    time.sleep(_MOVES_WITHIN_S)
    moved = [name for name, place in _progress(daemon).items() if before.get(name) != place]
    return [f"something is under way that moves: {', '.join(moved)}"] if moved else []


def _progress(daemon: Subject) -> Dict[str, Tuple[int, int]]:
    return {**downloads_of(daemon.process), **extractions_of(daemon.process)}
