"""Engines on the real kernel, and families of real processes for them to see."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, ContextManager, Dict, Iterator, List, Optional, Set

import pytest

from watchdog.errors import Unavailable
from watchdog.host.bpf import Engine, Event, Opened, open_engine

HERE = Path(__file__).parent
PROBES = HERE.parents[2] / "probes"
TRACEFS = Path("/sys/kernel/tracing")

WITH_PROBES = ("libbpf", "bcc")
ALL = (*WITH_PROBES, "proc_connector", "polling")
POLL_S = 0.05

# What a kernel or machine may lack; any other trouble is a defect of ours.
_NOT_OUR_FAULT = (
    "the kernel refuses",
    "libbpf.so.1 is not installed",
    "no kernel headers",
    "No module named 'bcc'",
    "proc connector refuses",
)


def engine_or_skip(name: str, ring_bytes: int = 256 * 1024) -> Opened:
    """The engine of that name; skips where this machine cannot have it."""
    if os.geteuid() != 0:
        pytest.skip("the event engines need root")
    try:
        return open_engine(name, ring_bytes, POLL_S)
    except Unavailable as error:
        if any(reason in str(error) for reason in _NOT_OUR_FAULT):
            pytest.skip(str(error))
        raise


@contextmanager
def opened(name: str, ring_bytes: int = 256 * 1024) -> Iterator[Opened]:
    """The same, closed in the end."""
    found = engine_or_skip(name, ring_bytes)
    try:
        yield found
    finally:
        found.engine.close()


def collect(engine: Engine, enough: Callable[[List[Event]], bool], deadline_s: float = 20.0) -> List[Event]:
    """Read until there is enough, or the deadline; and what comes at once after that.

    The proc connector tells a death late: a parent's may come before its child's.
    """
    events: List[Event] = []
    until = time.monotonic() + deadline_s
    while not enough(events) and time.monotonic() < until:
        events += engine.read()
        time.sleep(0.01)
    time.sleep(POLL_S)
    return events + engine.read()


def pids(events: List[Event], what: str) -> Set[int]:
    """Whom it happened to."""
    return {event.pid for event in events if event.what == what}


def born(count: int) -> Callable[[List[Event]], bool]:
    """Enough for `collect`: so many processes were born."""
    return lambda events: len(pids(events, "fork")) >= count


def ended(pid: int) -> Callable[[List[Event]], bool]:
    """Enough for `collect`: this process has ended."""
    return lambda events: pid in pids(events, "exit")


# --- what the engines need -----------------------------------------------------


@contextmanager
def environment(**changes: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def probes_in(directory: Path) -> ContextManager[None]:
    """Within, the probes of this directory are used and no others."""
    return environment(PULL_WATCHDOG_PROBES=str(directory))


@pytest.fixture(scope="module", name="probes")
def probes_fixture() -> Iterator[Path]:
    """A directory with this checkout's probes, built now, that the engines use."""
    with environment(PULL_WATCHDOG_PROBES=str(_built_probes()), **headers()):
        yield _built_probes()


@functools.cache
def _workspace() -> tempfile.TemporaryDirectory[str]:
    """Readable for every user; removed when the interpreter ends."""
    directory = tempfile.TemporaryDirectory(prefix="pull-watchdog-test-")
    Path(directory.name).chmod(0o755)
    return directory


@functools.cache
def _built_probes() -> Path:
    _mount_tracefs()
    directory = Path(_workspace().name) / "probes"
    shutil.copytree(PROBES, directory)
    subprocess.run([str(directory / "build.sh"), str(directory)], check=True, timeout=60)
    return directory


def _mount_tracefs() -> None:
    """As systemd does at boot.  It stays: others may use it by the time we end."""
    if os.geteuid() == 0 and not (TRACEFS / "events").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "nodev", str(TRACEFS)], check=True, timeout=10)


def headers() -> Dict[str, str]:
    """Without headers of the running kernel any others do: the probes open no kernel struct."""
    if Path(f"/lib/modules/{os.uname().release}/build").exists() or "BCC_KERNEL_SOURCE" in os.environ:
        return {}
    merged = _merged_headers()
    return {"BCC_KERNEL_SOURCE": str(merged)} if merged else {}


@functools.cache
def _merged_headers() -> Optional[Path]:
    """Debian splits its headers in two directories; bcc wants one."""
    common = sorted(Path("/usr/src").glob("linux-headers-*-common"))
    if not common:
        return None
    version = common[-1].name[: -len("-common")]
    specific = [path for path in common[-1].parent.glob(f"{version}-*") if path != common[-1]]
    merged = Path(_workspace().name) / "headers"
    _merge([common[-1], specific[0]], merged)
    return merged


def _merge(parts: List[Path], merged: Path) -> None:
    """A directory of links to what only one part has, and of such directories for the rest."""
    merged.mkdir()
    for name in sorted({entry.name for part in parts for entry in part.iterdir()}):
        found = [part / name for part in parts if (part / name).exists()]
        if len(found) > 1 and found[0].is_dir():
            _merge(found, merged / name)
        else:
            (merged / name).symlink_to(found[0])


# --- families ------------------------------------------------------------------


@functools.cache
def family_program(name: str = "family") -> str:
    """family.c, compiled; under another name it is another command to the kernel."""
    program = Path(_workspace().name) / name
    subprocess.run(["cc", "-O2", "-static", "-o", program, HERE / "family.c"], check=True, timeout=60)
    return str(program)


def own_name(name: str) -> str:
    """A command name that no other test run on this machine has."""
    return f"{name}{os.getpid()}"


class Family:
    """A process that has children once it is told to; see family.c.

    `hold`: the children live until release() or finish(); without, each ends
    before the next is born.
    """

    def __init__(self, count: int, hold: bool = False, pause_us: int = 0, program: str = "family") -> None:
        self.count = count
        argv = [family_program(program), str(count), str(pause_us), str(int(hold))]
        self._parent = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._parent.pid
        assert self._parent.stdout is not None
        assert self._parent.stdout.readline() == "ready\n"  # its own exec is over
        self.ended = 0  # how many children, which may be more than pids

    def start(self) -> None:
        self._say_go()

    def release(self) -> None:
        self._say_go()

    def finish(self, deadline_s: float = 120.0) -> Dict[int, int]:
        """The wait status of each child, by pid; of the last one where a pid was given twice."""
        printed, _ = self._parent.communicate(timeout=deadline_s)
        lines = [line.split() for line in printed.splitlines()]
        self.ended = len(lines)
        return {int(pid): int(status) for pid, status in lines}

    def run(self) -> Dict[int, int]:
        self.start()
        return self.finish()

    def children(self) -> Set[int]:
        """Who lives now, or is not reaped yet."""
        try:
            return {
                int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            }
        except FileNotFoundError:
            return set()

    def wait_for(self, enough: Callable[[int], bool], deadline_s: float = 60.0) -> None:
        """Until enough children live, or few enough."""
        until = time.monotonic() + deadline_s
        while not enough(len(self.children())):
            assert time.monotonic() < until, f"{len(self.children())} children live"
            time.sleep(0.02)

    def _say_go(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.kill()
        self._parent.communicate(timeout=10)
