"""The host: what else is at work on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

from watchdog.cli.checks.check import Check, Patient, ok, warn
from watchdog.core.observation import ProcessKey
from watchdog.errors import Unavailable, WatchdogError
from watchdog.host import birth, proc

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel

# What restarts or kills container runtimes by itself: (comm, cut at 15; in its arguments; what it is).
_RIVALS = (
    ("node-problem-de", "health-checker", "node-problem-detector with its repairing health checker"),
    ("monit", "", "monit"),
    ("health-monitor.", "", "health-monitor.sh"),
    ("kube-container-", "", "kube-container-runtime-monitor"),
    ("", "autoheal", "autoheal"),
)
_SHELLS = ("sh", "bash", "dash", "ash", "docker-entrypoi", "autoheal")


def rivals(patient: Patient) -> Check:
    """Programs that repair the runtime too."""
    found = sorted(set(_rivals()))
    if not found:
        return ok("nobody else repairs the runtime")
    return warn(
        f"{', '.join(found)}", "let only one of them repair: restart_runtime is refused beside the other"
    )


def package_manager(patient: Patient) -> Check:
    """A running package manager stops some remedies."""
    from watchdog.act import package_manager as packages

    busy = packages.running()
    return ok(f"{busy} is at work; some remedies wait for its end" if busy else "none is at work")


def pressure(patient: Patient) -> Check:
    """Pressure stall information: one of two signs of a stalled disk."""
    if Path("/proc/pressure/io").exists():
        return ok("/proc/pressure/io is there")
    return warn(
        "the kernel tells no I/O pressure", "boot with psi=1; the disk's own counters are used until then"
    )


def namespace(patient: Patient) -> Check:
    """Whether we see the host's processes under their own pids."""
    if Path("/proc/self/ns/pid").readlink().name == _INITIAL_PID_NAMESPACE:
        return ok("the host's own process ids")
    return warn(
        "a nested pid namespace", "run the agent on the host, or in a container with the host's pid namespace"
    )


def service_manager(patient: Patient) -> Check:
    """systemd, for the runtime's unit."""
    service = patient.runtime.service
    if service is None:
        return ok("not needed: the runtime is no unit")
    if not Path("/run/systemd/system").is_dir():
        return warn(
            f"systemd does not run here, so {service} cannot be asked or restarted",
            "give runtimes[] a restart command and a pidfile instead of a service",
        )
    return ok(f"systemd, for {service}")


def logs(patient: Patient) -> Check:
    """The logs that are followed beside the runtimes' own."""
    from watchdog.sense.log_places import usual_logs

    chosen = patient.config.logs
    followed = usual_logs() if chosen is None else chosen
    if not followed:
        return ok("none beside the runtimes'", "optional: name the kubelet's, a P2P client's, nginx' in logs")
    unreadable = [log.name for log in followed if log.file and not os.access(log.file, os.R_OK)]
    if unreadable:
        return warn(f"{', '.join(unreadable)} cannot be read", "correct logs[].file; hangs are found without")
    return ok(", ".join(f"{log.name} ({log.place})" for log in followed))


def harbors(patient: Patient) -> Check:
    """The Harbors that the operator named, in their own words."""
    from watchdog.host.harbor import look

    told = []
    for url in patient.config.harbors:
        try:
            seen = look(url)
        except Unavailable as error:
            return warn(str(error), "correct harbor; failed pushes are told without its word")
        if seen.status != 200 or seen.unhealthy:
            sick = "; ".join(seen.unhealthy) or f"it answers {seen.status}"
            return warn(f"{url}: {sick}", "tell Harbor's administrator: nothing here is wrong")
        told.append(f"{url} is well" + (f", {seen.version}" if seen.version else ""))
    return ok("; ".join(told) or "none is named")


def _rivals() -> List[str]:
    found = []
    for pid in proc.pids():
        try:
            with proc.Process(pid) as process:
                found += _rival(process.stat().comm, process.key)
        except (WatchdogError, OSError):
            continue
    return found


def _rival(comm: str, key: ProcessKey) -> List[str]:
    for name, word, title in _RIVALS:
        fits = comm == name or (not name and comm in _SHELLS)
        if fits and (not word or any(word in one for one in birth.arguments(key))):
            return [title]
    return []
