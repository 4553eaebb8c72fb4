"""Kernel events: what each engine needs, and why a better one is not in use."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path

from watchdog.cli.checks.check import Check, Patient, fail, ok, unknown, warn
from watchdog.config import Engine
from watchdog.errors import Unavailable

_NETLINK_CONNECTOR = 11
_FALLBACK = "without it kernel events come by another engine, see `engine`"


def kernel(patient: Patient) -> Check:
    """The kernel's version: what it is too old for."""
    from watchdog.host.bpf import kernel_version

    release = os.uname().release
    shortcoming = kernel_version.shortcoming(kernel_version.running())
    if shortcoming:
        return warn(
            f"{release}: {shortcoming}", "hangs are found, but seen by polling only; use 5.10 or later"
        )
    return ok(f"{release} has a BPF ring buffer")


def tracefs(patient: Patient) -> Check:
    """The tracepoints and where their fields are."""
    from watchdog.host.bpf.tracefs import TRACEPOINTS, read_layout

    try:
        layout = read_layout()
    except Unavailable as error:
        return warn(str(error), f"{_FALLBACK}; tracefs is usually mounted at boot (sys-kernel-tracing.mount)")
    if layout.refused:
        return warn("; ".join(layout.refused.values()), "these events are not seen; all others are")
    return ok(f"all {len(TRACEPOINTS)} tracepoints are there")


def btf(patient: Patient) -> Check:
    """Asked for so often that it is answered here: it is not needed."""
    there = Path("/sys/kernel/btf/vmlinux").exists()
    return ok(f"{'there' if there else 'absent'}, and not needed: no kernel struct is read")


def libbpf(patient: Patient) -> Check:
    """The library that loads the prebuilt object."""
    from watchdog.host.bpf import library

    try:
        library.for_objects()
    except Unavailable as error:
        return warn(str(error), f"apt install libbpf1, where your release has it; {_FALLBACK}")
    return ok("libbpf 1 is installed")


def probe_object(patient: Patient) -> Check:
    """The prebuilt object."""
    from watchdog.host.bpf import places

    try:
        return ok(str(places.prebuilt_object()))
    except Unavailable as error:
        return warn(
            str(error), f"install the package, or build it in a checkout (probes/build.sh); {_FALLBACK}"
        )


def bcc(patient: Patient) -> Check:
    """The compiler on the node, for nodes whose libbpf is old."""
    missing = []
    if importlib.util.find_spec("bcc") is None:
        missing.append("python3-bpfcc (Debian, Ubuntu) or python3-bcc (RHEL, openEuler)")
    if not _has_headers():
        missing.append(f"the kernel's headers (linux-headers-{os.uname().release} or kernel-devel)")
    if not missing:
        return ok("bcc and the kernel's headers are there")
    if libbpf(patient).advice == "" and probe_object(patient).advice == "":
        return ok(f"not complete, and not needed beside libbpf: no {' and no '.join(missing)}")
    return warn(f"bcc cannot be used: no {' and no '.join(missing)}", "install them, or libbpf 1")


def proc_connector(patient: Patient) -> Check:
    """The netlink fallback.  Only opened, not subscribed to."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR).close()
    except OSError as error:
        return warn(f"the kernel has no process connector: {error.strerror}", "polling remains; it sees less")
    if os.geteuid() != 0:
        return unknown("there; whether it may be used is only known to root", "run doctor as root")
    return ok("there: the fallback where BPF is refused")


def engine(patient: Patient) -> Check:
    """The engine in use, and why not a better one."""
    wanted = patient.config.engine
    if patient.state is None:
        return unknown(f"the agent is not running; the configuration says {wanted.value}", "start the agent")
    name = patient.state["engine"] or "none"
    better = "; ".join(f"not {one['engine']}: {one['detail']}" for one in patient.state["engine_attempts"])
    seen = f"{name} ({better})" if better else name
    lost = patient.state["kernel_events_lost"]
    if lost:
        seen += f"; {lost} events were lost and made up for by a look at /proc"
    if name in (Engine.LIBBPF.value, Engine.BCC.value):
        return ok(seen)
    if name == "none":
        return fail(seen, "see the checks above for what each engine needs")
    advice = "TCP events and the senders of signals are not seen; hangs of the extraction are"
    return ok(seen, advice) if wanted.value == name else warn(seen, advice)


def _has_headers() -> bool:
    source = os.environ.get("BCC_KERNEL_SOURCE", f"/lib/modules/{os.uname().release}/build")
    return Path(source).exists() or Path("/sys/kernel/kheaders.tar.xz").exists()
