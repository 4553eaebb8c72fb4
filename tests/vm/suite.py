"""The Debian releases that guests are made of, and what is installed in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

_COMMON = (
    *("systemd-sysv", "udev", "dbus", "kmod", "procps", "iproute2", "e2fsprogs", "ca-certificates"),
    # The node: a runtime, a registry for it to pull from, and what pull-watchdog depends on.
    *("docker.io", "apparmor", "pigz", "docker-registry", "python3-psutil", "python3-structlog"),
    *("python3-prometheus-client", "python3-yaml", "python3-systemd", "python3-bpfcc"),
    # Who scrapes it.
    "prometheus",
    # Two packages with which it must share the name `watchdog`.
    *("python3-watchdog", "watchdog"),
    # For the tests themselves; the fake unpigz is compiled.
    *("python3-pytest", "python3-hypothesis", "strace", "gdb", "gcc", "libc6-dev", "zlib1g-dev"),
)


@dataclass(frozen=True)
class Suite:
    """One release.

    `engine` is the best one that works there, which `auto` must find.  `kernel`
    ends the names of its kernel's packages.
    """

    name: str
    engine: str
    extra: Tuple[str, ...]
    kernel: str = "cloud-amd64"

    @property
    def packages(self) -> Tuple[str, ...]:
        return (*_COMMON, f"linux-image-{self.kernel}", f"linux-headers-{self.kernel}", *self.extra)


SUITES = {
    one.name: one
    for one in (
        # Linux 5.10, systemd 247, Python 3.9; libbpf 0.3 is too old for the prebuilt object.  Its archive
        # is complete no more: the kernel's metapackage names files that are gone.
        Suite("bullseye", "bcc", ("libbpf0",), kernel="5.10.0-46-cloud-amd64"),
        # Linux 6.1, systemd 252, Python 3.11.
        Suite("bookworm", "libbpf", ("libbpf1",)),
        # Linux 6.12, systemd 257, Python 3.13; Docker 26 extracts without a process of its own.
        Suite("trixie", "libbpf", ("libbpf1", "docker-cli")),
    )
}
