"""The agent itself: its configuration, its rights, its directories, its port."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path
from typing import Union

from watchdog.cli.checks.check import Check, Patient, fail, ok, warn
from watchdog.config import DEFAULT_PATH
from watchdog.core.policy import Mode
from watchdog.errors import LedgerError
from watchdog.host import capabilities

LEAST_FREE_BYTES = 64 << 20
_SANE_WALL_NS = 1_700_000_000 * 10**9  # November 2023: before that nobody had this program

# What it is for, and which capabilities do: one of the alternatives.
_TO_SEE = (
    ("to look into the runtime's processes", ("CAP_SYS_PTRACE",), (capabilities.SYS_PTRACE,)),
    ("to read what belongs to others", ("CAP_DAC_READ_SEARCH",), (capabilities.DAC_READ_SEARCH,)),
    ("for the BPF engines", ("CAP_BPF", "CAP_SYS_ADMIN"), (capabilities.BPF, capabilities.SYS_ADMIN)),
    (
        "for the BPF engines",
        ("CAP_PERFMON", "CAP_SYS_ADMIN"),
        (capabilities.PERFMON, capabilities.SYS_ADMIN),
    ),
)
_TO_ACT = (("to continue or end a hung process", ("CAP_KILL",), (capabilities.KILL,)),)


def config(patient: Patient) -> Check:
    """The configuration; a wrong one is told by `doctor` before any check."""
    files = patient.config.files
    if not files:
        return ok(f"there is no {DEFAULT_PATH}: all defaults, {patient.config.policy.mode.value} mode")
    for path in files:
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return warn(
                f"{path} can be changed by others than its owner",
                f"chmod go-w {path}: it names commands that root runs",
            )
    return ok(f"{', '.join(map(str, files))}: {patient.config.policy.mode.value} mode")


def rights(patient: Patient) -> Check:
    """The capabilities of the agent that runs, or of this process in its place."""
    if os.geteuid() != 0:
        return fail("doctor is not run as root, so little can be seen", "run it as root")
    agent = patient.state["pid"] if patient.state else "self"
    user = _user_of(agent)
    effective = capabilities.effective(agent)
    # One that is not root has remedies done by another unit, which has its own rights.
    needed = _TO_SEE if user else (*_TO_SEE, *_TO_ACT)
    missing = [
        f"{' or '.join(names)} ({purpose})"
        for purpose, names, numbers in needed
        if not any(capabilities.has(effective, one) for one in numbers)
    ]
    who = f"user {user}" if user else "root"
    if missing:
        return warn(f"{who}, without {'; '.join(missing)}", "grant them in the unit or the container")
    return ok(f"{who}, with every capability that is needed")


def running(patient: Patient) -> Check:
    """Whether the agent runs."""
    if patient.state is None:
        return warn("the agent is not running", "systemctl start pull-watchdog, or `pull-watchdog run`")
    return ok(
        f"process {patient.state['pid']}, {patient.state['mode']} mode, since {patient.state['started_at']}"
    )


def action(patient: Patient) -> Check:
    """Whether anything stands in the way of action."""
    from watchdog.act import gate
    from watchdog.act.settings import settings_for
    from watchdog.errors import Refused

    settings = settings_for(patient.config, patient.runtime.name)
    if settings.mode is not Mode.ENFORCE:
        return ok(
            "observe mode: everything is judged and told, nothing is touched", "mode: enforce to let it act"
        )
    try:
        gate.check_inhibit(settings)
        gate.check_pause(settings, time.time_ns())
    except Refused as error:
        return warn(str(error), "`pull-watchdog pause off` ends a pause")
    return ok(f"on: {', '.join(sorted(one.value for one in settings.remedies_on))}")


def state_dir(patient: Patient) -> Check:
    """The directory of the ledger and the incidents."""
    path = patient.config.state_dir
    place = _existing(path)
    if not os.access(place, os.W_OK | os.X_OK):
        return fail(
            f"{place} cannot be written", f"make {path} writable for root, or choose another state_dir"
        )
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    if free < LEAST_FREE_BYTES:
        return fail(f"{path} has {free >> 20} MiB free", "make room: without a ledger nothing is done")
    return ok(f"{path}, {free >> 20} MiB free")


def run_dir(patient: Patient) -> Check:
    """The directory of the state file; it should be in memory."""
    path = patient.config.run_dir
    place = _existing(path)
    if not os.access(place, os.W_OK | os.X_OK):
        return fail(f"{place} cannot be written", f"make {path} writable for root, or choose another run_dir")
    kind = _file_system_of(place)
    if kind not in ("tmpfs", "ramfs", "devtmpfs"):
        return warn(
            f"{path} is on {kind}",
            "choose a run_dir in memory, such as /run: a stalled disk would hold up the agent",
        )
    return ok(f"{path}, in memory")


def ledger(patient: Patient) -> Check:
    """The ledger."""
    from watchdog.act.ledger import Ledger

    found = Ledger(patient.config.state_dir)
    try:
        entries = found.read()
    except LedgerError as error:
        return fail(str(error), "put it right: until then nothing is done")
    return ok(f"{found.path}, {len(entries)} entries")


def metrics(patient: Patient) -> Check:
    """The port of the metrics."""
    listen = patient.config.metrics
    if listen is None:
        return ok("off")
    address = f"{listen.host}:{listen.port}"
    if patient.state is not None and patient.state["metrics"]:
        return ok(f"served at http://{patient.state['metrics']}/metrics")
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            return fail(
                f"{address}: {error.strerror}",
                "`ss -ltnp` shows who has it; choose another metrics.listen, or off",
            )
    return ok(f"{address} is free")


def clock(patient: Patient) -> Check:
    """The wall clock: budgets and expiries go by it."""
    from watchdog.act.ledger import Ledger

    now_ns = time.time_ns()
    if now_ns < _SANE_WALL_NS:
        return fail(f"it says {time.strftime('%Y-%m-%d')}", "set the clock: budgets and expiries go by it")
    try:
        newest_ns = max((one.wall_ns for one in Ledger(patient.config.state_dir).read()), default=0)
    except LedgerError:
        newest_ns = 0
    if newest_ns > now_ns:
        ahead_s = (newest_ns - now_ns) // 10**9
        return warn(
            f"the ledger's newest entry is {ahead_s} s in the future",
            "the clock was set back: budgets last longer by that",
        )
    return ok(time.strftime("%Y-%m-%d %H:%M:%S %Z"))


def libraries(patient: Patient) -> Check:
    """The Python that runs us, and what it has."""
    import importlib.util
    import platform

    needed = ("psutil", "yaml", "structlog", "prometheus_client")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    python = f"Python {platform.python_version()}"
    if missing:
        return fail(
            f"{python} without {', '.join(missing)}",
            "apt install python3-psutil python3-yaml python3-structlog python3-prometheus-client",
        )
    return ok(f"{python} with {', '.join(needed)}")


def _user_of(pid: Union[int, str]) -> int:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return 0


def _existing(path: Path) -> Path:
    """The path, or the nearest of its parents that is there."""
    return next(one for one in (path, *path.parents) if one.exists())


def _file_system_of(path: Path) -> str:
    """The kind of file system that a path lies on, by the longest mount point that holds it."""
    best, kind = -1, "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        point = words[4].encode().decode("unicode_escape")  # blanks are octal there
        if (path == Path(point) or Path(point) in path.parents) and len(point) >= best:
            best, kind = len(point), words[words.index("-") + 1]
    return kind
