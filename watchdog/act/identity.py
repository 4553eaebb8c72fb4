"""The opening moves of every action on a process: is it still the one that was seen?

Law: the pidfd is opened first, and only then are start time, file, descent and
state compared; the signal goes through that pidfd.  So a process that ended
meanwhile, or a later one with its pid, is never hit.  What cannot be told
apart is refused.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator, List, Tuple

from watchdog.core.observation import ProcessKey, ProcessSample
from watchdog.errors import ProcessGone, Refused, Unavailable
from watchdog.host import cgroup
from watchdog.host.proc import Process, open_process

_DEEPEST = 16  # a wrapper of a wrapper is two; more than this is no decompressing stage
_SIGKILL_BIT = 1 << (signal.SIGKILL - 1)


@dataclass(frozen=True)
class Subject:
    """A process that is held by its pidfd and by its open /proc directory."""

    pidfd: int
    process: Process

    @property
    def key(self) -> ProcessKey:
        return self.process.key

    @property
    def name(self) -> str:
        """`unpigz (pid 4711)`, for a sentence."""
        return f"{self.process.stat().comm} (pid {self.key.pid})"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process.  Raises ProcessGone when it has ended."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            raise ProcessGone(f"process {self.key.pid} has ended") from None
        except PermissionError as error:
            raise Unavailable(f"process {self.key.pid} cannot be signalled: {error.strerror}") from error

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end; False when it is still there after that long."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(int(seconds * 1000)))


@contextmanager
def held(key: ProcessKey) -> Iterator[Subject]:
    """Hold exactly this process.  Refused when it has ended, or its pid is another one's now."""
    try:
        pidfd = os.pidfd_open(key.pid)
    except ProcessLookupError:
        raise Refused(f"process {key.pid} has ended") from None
    except OSError as error:
        if error.errno == errno.EINVAL:  # by now its number only names the group of what it has left behind
            raise Refused(f"process {key.pid} has ended") from None
        raise Unavailable(f"process {key.pid} cannot be held: {error.strerror}") from error
    try:
        with open_process(key) as process:
            yield Subject(pidfd, process)
    except ProcessGone as error:
        raise Refused(str(error)) from error
    finally:
        os.close(pidfd)


@contextmanager
def held_as_seen(sample: ProcessSample) -> Iterator[Subject]:
    """Hold the process of a sample; Refused also when it runs another file by now."""
    with held(sample.key) as subject:
        check_file(subject, sample)
        yield subject


def check_file(subject: Subject, sample: ProcessSample) -> None:
    """Refused unless the process runs the file that was seen, by device and inode."""
    running = subject.process.exe()
    if sample.exe is None or running is None:
        raise Refused(f"which file process {subject.key.pid} runs cannot be seen")
    if (running.device, running.inode) != (sample.exe.device, sample.exe.inode):
        raise Refused(f"process {subject.key.pid} runs {running.path} now; {sample.exe.path} was seen")


def check_not_held(subject: Subject) -> None:
    """Refused for a process that somebody froze or traces: that is on purpose."""
    for thread in thread_ids(subject.process):
        tracer = _status_number(subject.process, thread, b"TracerPid", 10)
        if tracer:
            raise Refused(f"{subject.name} is traced by process {tracer}: hands off")
    frozen = cgroup.frozen(subject.process)
    if frozen is None:
        raise Refused(f"whether {subject.name} is frozen cannot be seen")
    if frozen:
        raise Refused(f"{subject.name} is frozen by its control group: hands off")


def check_descent(subject: Subject, daemon: ProcessKey) -> None:
    """Refused unless a chain of living parents leads from the process to the runtime.

    The chain is read twice: a parent that ended between two reads would have
    its child handed to another one.
    """
    first = _ancestors(subject.process, daemon)
    if first != _ancestors(subject.process, daemon):
        raise Refused(f"the parents of {subject.name} changed while they were read")


def kill_is_pending(process: Process) -> bool:
    """True when a SIGKILL was sent that the process has not yet died of."""
    return any(
        _status_number(process, thread, field, 16) & _SIGKILL_BIT
        for thread in thread_ids(process)
        for field in (b"SigPnd", b"ShdPnd")
    )


def handles(process: Process, number: signal.Signals) -> bool:
    """True when the process has a handler of its own for that signal."""
    return bool(_status_number(process, process.pid, b"SigCgt", 16) & 1 << (number - 1))


def thread_ids(process: Process) -> List[int]:
    """The threads of a process that exist now."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
    except FileNotFoundError:
        raise ProcessGone(f"process {process.pid} is gone") from None


def _ancestors(process: Process, daemon: ProcessKey) -> Tuple[ProcessKey, ...]:
    """The parents from the process' own up to the runtime."""
    chain: List[ProcessKey] = []
    pid = process.stat().parent_pid
    while pid != daemon.pid:
        if pid <= 1 or len(chain) == _DEEPEST:
            raise Refused(f"process {process.pid} does not descend from the runtime (pid {daemon.pid})")
        with Process(pid) as parent:
            chain.append(parent.key)
            pid = parent.stat().parent_pid
    return tuple(chain)


def _status_number(process: Process, thread: int, field: bytes, base: int) -> int:
    """A number of one thread's status; 0 when that thread has ended."""
    try:
        text = process.read(f"task/{thread}/status")
    except ProcessGone:
        return 0
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name == field:
            return int(value, base)
    raise Unavailable(f"the kernel does not tell {field.decode()} of process {process.pid}")
