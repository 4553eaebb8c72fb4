"""The runtime: whether we see it, what it is, and what a remedy could do there.

All but the last rest on one look of the agent's own sensor.
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any, Dict, Optional

from watchdog.cli.checks.check import Check, Patient, fail, ok, unknown, warn
from watchdog.config import RuntimeConfig
from watchdog.core.codec import from_plain, to_plain
from watchdog.core.observation import Api, RuntimeSeen, Sight
from watchdog.errors import Refused, Unavailable

_JOURNALS = (Path("/var/log/journal"), Path("/run/log/journal"))
_NOT_SEEN = "the runtime could not be looked at"


def look(runtime: RuntimeConfig) -> Dict[str, Any]:
    """One look at the runtime, as plain values.  Raises Unavailable when it cannot be seen."""
    from watchdog.sense.runtime import RuntimeSensor

    sensor = RuntimeSensor(runtime.name, runtime.kind.value, runtime.socket, runtime.service, runtime.pidfile)
    observations = sensor.read(time.monotonic_ns())
    for one in observations:
        if isinstance(one, RuntimeSeen):
            plain: Dict[str, Any] = to_plain(one)
            return plain
    raise Unavailable("; ".join(str(getattr(one, "detail", one)) for one in observations))


def api(patient: Patient) -> Check:
    """How the API takes a question."""
    seen = _seen(patient)
    if seen is None:
        return unknown(_NOT_SEEN)
    if seen.api is Api.ANSWERS:
        return ok(f"{patient.runtime.socket} answers, version {seen.version or 'unknown'}")
    if seen.sight is Sight.REMOTE:
        return warn(f"{patient.runtime.socket} is not on this host", "a remote runtime is told, never judged")
    if seen.process is None:
        return warn(seen.detail, "start the runtime, or correct runtimes[].socket")
    return fail(seen.detail, "the runtime lives and does not answer as it should: see `status`")


def process(patient: Patient) -> Check:
    """Which process the runtime is."""
    seen = _seen(patient)
    if seen is None or seen.process is None:
        return unknown("no process is known")
    return ok(f"process {seen.process.pid}, {seen.exe.path if seen.exe else 'its file is not known'}")


def sight(patient: Patient) -> Check:
    """What kind of runtime it is; only one kind is judged."""
    seen = _seen(patient)
    if seen is None or (seen.sight is Sight.UNKNOWN and seen.api is not Api.ANSWERS):
        return unknown("not known before it answers")
    if seen.sight is Sight.FULL:
        return ok("its pulls can be seen in full")
    kind = seen.sight.value.replace("_", " ")
    advice = "such a runtime is recognised and told; nothing there is judged or touched"
    return warn(f"{kind}: {seen.detail}" if seen.detail else kind, advice)


def data_root(patient: Patient) -> Check:
    """Where layers go."""
    seen = _seen(patient)
    if seen is None or seen.data_root is None:
        return unknown("the API does not tell")
    where = f"{seen.data_root}, {seen.storage_driver or 'storage driver unknown'}"
    if not Path(seen.data_root).is_dir():
        return warn(
            f"{where}: there is no such directory here", "run the agent where the runtime's files are"
        )
    return ok(where)


def live_restore(patient: Patient) -> Check:
    """Whether containers would outlive a restart of the runtime."""
    seen = _seen(patient)
    if seen is None or seen.live_restore is None:
        return unknown("the API does not tell")
    running = f"{seen.containers_running if seen.containers_running is not None else '?'} containers run"
    if seen.live_restore:
        return ok(f"on; {running} and would go on through a restart")
    return warn(
        f"off; {running}",
        'put "live-restore": true into daemon.json and `systemctl reload docker`: until then restart_runtime '
        "and disable_pigz are refused while a container runs; all other remedies work",
    )


def log(patient: Patient) -> Check:
    """The runtime's log."""
    where = patient.runtime.log
    if where is None:
        return ok("not followed", "optional: set runtimes[].log to `journal` or to a file")
    if where == "journal":
        return _journal()
    try:
        with open(where, "rb"):
            return ok(f"{where} can be read")
    except OSError as error:
        seen = f"{where} cannot be read: {error.strerror}"
        return warn(seen, "correct runtimes[].log; hangs are found without it")


def decompressor(patient: Patient) -> Check:
    """What the runtime would execute to decompress a layer."""
    seen = _seen(patient)
    if seen is None or seen.process is None:
        return unknown("the runtime's process is not known")
    from watchdog.act.substitute_decompressor import find_programs
    from watchdog.act.view import view_of
    from watchdog.host import birth

    if birth.environment(seen.process).get("MOBY_DISABLE_PIGZ"):
        return ok("the runtime decompresses by itself (MOBY_DISABLE_PIGZ is set)")
    try:
        with view_of(seen.process.pid) as view:
            programs = find_programs(seen.process, view)
    except Refused as error:
        return ok(f"nothing could stand in for it: {error}")
    return ok(f"{programs.unpigz} ({programs.unpigz_file.path}); {programs.gzip} could stand in for it")


def _seen(patient: Patient) -> Optional[RuntimeSeen]:
    if patient.seen is None:
        return None
    seen: RuntimeSeen = from_plain(RuntimeSeen, patient.seen)
    return seen


def _journal() -> Check:
    if importlib.util.find_spec("systemd") is None:
        return warn(
            "python3-systemd is not installed", "apt install python3-systemd; hangs are found without it"
        )
    readable = [file for place in _JOURNALS for file in place.glob("*/*.journal") if os.access(file, os.R_OK)]
    if readable:
        return ok(f"the journal in {readable[0].parents[1]} can be read")
    return warn(
        "no journal can be read", "run as root, or name a file in runtimes[].log; hangs are found without it"
    )
