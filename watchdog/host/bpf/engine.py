"""What every event engine can do, and how one says what it cannot.

An engine reports births, execs, deaths and signals of the process trees that
it was told to watch, and the TCP life of their connections.  Law: reading
never waits, a batch is bounded, and what is lost is counted.
"""

from __future__ import annotations

from enum import Enum
from typing import FrozenSet, List, Optional, Protocol, Union

from watchdog.core.observation import ProcessEvent, TcpEvent

Event = Union[ProcessEvent, TcpEvent]


class Sees(str, Enum):
    """A kind of fact that an engine can or cannot see."""

    FORK = "fork"
    EXEC = "exec"
    EXIT = "exit"
    BRIEF = "brief"  # also processes that end before anybody could look into /proc
    FILENAME = "filename"  # of an exec, as it was asked for
    EXIT_STATUS = "exit_status"
    SIGNAL = "signal"
    SIGNAL_SENDER = "signal_sender"
    TCP = "tcp"


class Engine(Protocol):
    """One source of kernel events.  Not for several threads at once."""

    @property
    def name(self) -> str:
        """libbpf, bcc, proc_connector or polling."""

    @property
    def sees(self) -> FrozenSet[Sees]:
        """What it can see on this kernel."""

    def fileno(self) -> Optional[int]:
        """A descriptor that is readable when there are events; None: call read() now and then."""

    def watch(self, pid: int, follow: bool = True) -> bool:
        """Watch a process, with `follow` each child that it has from now on.  False: no room left."""

    def unwatch(self, pid: int) -> None:
        """Forget a process.  Its children stay watched."""

    def watch_command(self, comm: str) -> bool:
        """Watch whoever executes a program of this name from now on.  False: no room left."""

    def end_lineage_at(self, comm: str) -> bool:
        """Where a watched process executes this, do not follow its children.  False: no room left."""

    def read(self) -> List[Event]:
        """The next events, in the order in which they happened."""

    def dropped(self) -> int:
        """How many events were lost so far, at least."""

    def close(self) -> None:
        """Detach from the kernel and give everything back."""
