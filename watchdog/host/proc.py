"""One process as /proc tells it: its identity, counters, threads and children.

Law: nothing in here can wait for the process.  Only files are read that the
kernel answers without the memory lock of a stuck task (`cmdline`, `environ`
and `maps` are not among them, see host/birth).

A `Process` is an open /proc/PID directory.  The kernel ties that directory to
the process and not to the number: once the process is gone every read fails,
also when the number was given to another one.  So a sample is never a mixture
of two processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Iterable, List, Optional, Set, Tuple, Type

from watchdog.core.observation import Executable, ProcessKey
from watchdog.errors import ProcessGone, Unavailable
from watchdog.host import inode

PROC = "/proc"
ENDED_STATES = ("Z", "X")  # a zombie waits for its parent to notice and does nothing any more

# The numbers of read(2) and write(2), as /proc/PID/syscall shows them.
_TRANSFER_CALLS = {
    "x86_64": {0: "read", 1: "write"},
    "aarch64": {63: "read", 64: "write"},
}
_MOST_BYTES = 65536


# --- parsing ---------------------------------------------------------------


@dataclass(frozen=True)
class Stat:
    """What we use of /proc/PID/stat.  `cpu_ticks` is utime + stime."""

    comm: str
    state: str
    parent_pid: int
    cpu_ticks: int
    start_ticks: int


@dataclass(frozen=True)
class Status:
    """What we use of /proc/PID/status.

    `switches`: voluntary and involuntary context switches of the main thread.
    `namespace_depth`: 1 for a process of the pid namespace that /proc shows.
    """

    tracer_pid: int
    switches: Optional[int]
    namespace_depth: int


@dataclass(frozen=True)
class Counters:
    """rchar and wchar of /proc/PID/io: bytes passed through read and write, by all threads."""

    read_bytes: int
    written_bytes: int


def parse_stat(text: bytes) -> Stat:
    """Parse /proc/PID/stat.  The name may hold anything, also `) R 1 (`."""
    head, _, tail = text.rpartition(b")")
    comm = head.partition(b"(")[2].decode("utf-8", "replace")
    field = tail.split()
    return Stat(
        comm=comm,
        state=field[0].decode("ascii"),
        parent_pid=int(field[1]),
        cpu_ticks=int(field[11]) + int(field[12]),
        start_ticks=int(field[19]),
    )


def parse_status(text: bytes) -> Status:
    """Parse /proc/PID/status."""
    tracer, voluntary, involuntary, depth = 0, None, None, 1
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name == b"TracerPid":
            tracer = int(value)
        elif name == b"voluntary_ctxt_switches":
            voluntary = int(value)
        elif name == b"nonvoluntary_ctxt_switches":
            involuntary = int(value)
        elif name == b"NSpid":
            depth = len(value.split())
    switches = None if voluntary is None or involuntary is None else voluntary + involuntary
    return Status(tracer, switches, depth)


def parse_io(text: bytes) -> Counters:
    """Parse /proc/PID/io."""
    fields = dict(line.split(b": ") for line in text.splitlines() if b": " in line)
    return Counters(int(fields[b"rchar"]), int(fields[b"wchar"]))


def parse_wait(text: bytes, machine: str) -> str:
    """Parse /proc/PID/syscall to `running`, `read:FD`, `write:FD` or `nr:N`.

    N is -1 for a thread that waits outside of any system call.
    """
    words = text.split()
    if not words or words[0] == b"running":
        return "running"
    number = int(words[0])
    call = _TRANSFER_CALLS.get(machine, {}).get(number)
    return f"{call}:{int(words[1], 16)}" if call else f"nr:{number}"


# --- reading ---------------------------------------------------------------


class Process:
    """An open handle on one process.  Close it, or use it in a `with`.

    `key` and `seen` are from the moment of opening: its identity and its stat.
    Every method raises ProcessGone once the process has ended, and Unavailable
    where we may not look.
    """

    def __init__(self, pid: int, root: str = PROC) -> None:
        try:
            self._directory = os.open(f"{root}/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            raise ProcessGone(f"process {pid} is gone") from None
        self._root = root
        self.pid = pid
        try:
            self.seen = self.stat()
            self.key = ProcessKey(pid, self.seen.start_ticks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._directory)

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    def stat(self) -> Stat:
        return parse_stat(self.read("stat"))

    def status(self) -> Status:
        return parse_status(self.read("status"))

    def io(self) -> Counters:
        return parse_io(self.read("io"))

    def cgroup(self) -> bytes:
        """The text of /proc/PID/cgroup; host/cgroup parses it."""
        return self.read("cgroup")

    def exe(self) -> Optional[Executable]:
        """The file that the process runs; None for kernel threads and zombies."""
        try:
            path = os.readlink("exe", dir_fd=self._directory)
            file = inode.look("exe", self._directory)
        except FileNotFoundError:
            self.stat()  # raises when it is the process that is gone
            return None
        except (ProcessLookupError, PermissionError) as error:
            raise self._trouble("exe", error) from error
        return Executable(path, file.device, file.number)

    def states(self) -> str:
        """The state letter of each thread, the main thread first."""
        return "".join(self._thread_state(thread) for thread in self.threads())

    def states_and_waits(self) -> Tuple[str, Tuple[str, ...]]:
        """State letters and waits of all threads, in the same order."""
        machine = os.uname().machine
        states, waits = "", []
        for thread in self.threads():
            state = self._thread_state(thread)
            if state:
                states += state
                waits.append(self._thread_wait(thread, machine))
        return states, tuple(waits)

    def children(self) -> List[int]:
        """The pids of its children, of all its threads, in ascending order.

        A child may be missing once while one of its siblings ends: the kernel
        promises no more.  Who knows a child looks at it directly.
        """
        found: Set[int] = set()
        for thread in self.threads():
            try:
                found.update(int(pid) for pid in self.read(f"task/{thread}/children").split())
            except ProcessGone:
                if not self._thread_state(thread):
                    continue  # the thread ended meanwhile
                return children_by_walk(self.pid, self._root)  # a kernel without these files
        return sorted(found)

    def descriptors(self) -> List[Tuple[int, str]]:
        """(number, what it is) of each open descriptor, e.g. (7, "pipe:[4711]")."""
        folder = self._open_folder("fd")
        try:
            links = [(int(name), _link(name, folder)) for name in os.listdir(folder)]
        except ProcessLookupError as error:
            raise self._trouble("fd", error) from error
        finally:
            os.close(folder)
        return sorted((number, link) for number, link in links if link is not None)

    def descriptor(self, number: int) -> Optional[str]:
        """What one descriptor is; None when it is not open."""
        link = _link(f"fd/{number}", self._directory)
        if link is None:
            self.stat()  # raises when it is the process that is gone
        return link

    def position_and_size(self, number: int) -> Optional[Tuple[int, int]]:
        """File position and file size of one descriptor; None when it is not open.

        Neither asks the disk: the position is in the open file and the size in
        the inode, which both are in memory as long as the file is open.
        """
        try:
            position = int(self.read(f"fdinfo/{number}").split(None, 2)[1])
            return position, inode.look(f"fd/{number}", self._directory).size_bytes
        except (ProcessGone, FileNotFoundError, ProcessLookupError):
            return None

    def read(self, name: str, most_bytes: int = _MOST_BYTES) -> bytes:
        """A file of the process' directory, cut at `most_bytes`."""
        text = b""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            try:
                while len(text) < most_bytes:
                    piece = os.read(descriptor, most_bytes - len(text))
                    if not piece:
                        break
                    text += piece
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._trouble(name, error) from error
        return text

    def threads(self) -> List[int]:
        """The ids of its threads, the main thread first."""
        folder = self._open_folder("task")
        try:
            threads = [int(name) for name in os.listdir(folder)]
        except OSError as error:
            raise self._trouble("task", error) from error
        finally:
            os.close(folder)
        return sorted(threads, key=lambda thread: (thread != self.pid, thread))

    def _thread_state(self, thread: int) -> str:
        """The state letter, or nothing when the thread has ended."""
        try:
            return parse_stat(self.read(f"task/{thread}/stat")).state
        except ProcessGone:
            return ""

    def _thread_wait(self, thread: int, machine: str) -> str:
        try:
            return parse_wait(self.read(f"task/{thread}/syscall"), machine)
        except ProcessGone:
            return "running"  # it ended between two reads

    def _open_folder(self, name: str) -> int:
        try:
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._directory)
        except OSError as error:
            raise self._trouble(name, error) from error

    def _trouble(self, name: str, error: OSError) -> Exception:
        if isinstance(error, (FileNotFoundError, ProcessLookupError)):
            return ProcessGone(f"process {self.pid} is gone (reading {name})")
        return Unavailable(f"{self._root}/{self.pid}/{name} cannot be read: {error.strerror}")


def open_process(key: ProcessKey, root: str = PROC) -> Process:
    """A handle on exactly this process.  Raises ProcessGone for a later one with its pid."""
    process = Process(key.pid, root)
    if process.key != key:
        process.close()
        raise ProcessGone(f"process {key.pid} is gone; its pid belongs to a later process")
    return process


def identify(pid: int, root: str = PROC) -> ProcessKey:
    """The key of the process that has this pid now.  Raises ProcessGone."""
    with Process(pid, root) as process:
        return process.key


def is_alive(key: ProcessKey, root: str = PROC) -> bool:
    """Whether this very process is there and has not ended; a zombie has."""
    try:
        with open_process(key, root) as process:
            return process.seen.state not in ENDED_STATES
    except ProcessGone:
        return False


def pids(root: str = PROC) -> Iterable[int]:
    """All pids in /proc now."""
    return (int(name) for name in os.listdir(root) if name.isdigit())


def children_by_walk(parent: int, root: str = PROC) -> List[int]:
    """The children of a process by looking at every process: slow, but works everywhere."""
    found = []
    for pid in pids(root):
        try:
            with Process(pid, root) as process:
                if process.seen.parent_pid == parent:
                    found.append(pid)
        except (ProcessGone, Unavailable):
            continue
    return sorted(found)


def boot_id(root: str = PROC) -> str:
    """The kernel's name for this boot."""
    with open(f"{root}/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _link(name: str, folder: int) -> Optional[str]:
    try:
        return os.readlink(name, dir_fd=folder)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError as error:
        raise Unavailable(f"descriptors of another process cannot be read: {error.strerror}") from error
