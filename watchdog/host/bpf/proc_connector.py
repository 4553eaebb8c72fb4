"""The proc connector engine: the kernel's own process events over netlink, without BPF.

Sees births, execs and deaths of the whole host, with exit status; no signals
and no TCP.  The filter is in user space, so every process of the host costs a
few microseconds here.  Needs CAP_NET_ADMIN and the initial pid namespace.

Records: struct cn_msg and struct proc_event of linux/cn_proc.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from typing import FrozenSet, List, Optional

from watchdog.core.observation import ProcessEvent
from watchdog.errors import Unavailable
from watchdog.host.bpf.engine import Event, Sees
from watchdog.host.bpf.lineage import Lineage

NAME = "proc_connector"
_SEES = frozenset((Sees.FORK, Sees.EXEC, Sees.EXIT, Sees.EXIT_STATUS, Sees.BRIEF))

_NETLINK_CONNECTOR = 11
_SO_RCVBUFFORCE = 33
_RECEIVE_BUFFER_BYTES = 4 << 20
_PROCESSES = 1  # CN_IDX_PROC and CN_VAL_PROC: the group, and the sender
_LISTEN, _IGNORE = 1, 2  # enum proc_cn_mcast_op
_NLMSG_DONE = 3

_netlink_header = struct.Struct("=IHHII")
_connector_header = struct.Struct("=IIIIHH")
_event_header = struct.Struct("=IIQ")  # what, cpu, timestamp_ns
_EVENT_AT = _netlink_header.size + _connector_header.size
_BODY_AT = _EVENT_AT + _event_header.size

_FORK, _EXEC, _EXIT = 0x1, 0x2, 0x80000000
_fork = struct.Struct("=IIII")  # parent's thread and process, child's thread and process
_exec = struct.Struct("=II")  # thread, process
_exit = struct.Struct("=III")  # thread, process, wait status

_MOST_RECORDS = 4096


class ProcConnector:
    """Raises Unavailable where the kernel has no connector or we may not listen."""

    name = NAME
    sees: FrozenSet[Sees] = _SEES

    def __init__(self) -> None:
        self._lineage = Lineage()
        self._overflows = 0
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR)
        except OSError as error:
            raise Unavailable(f"this kernel has no netlink connector: {error.strerror}") from error
        try:
            self._socket.bind((0, _PROCESSES))
            self._socket.setblocking(False)
            self._enlarge_buffer()
            self._socket.send(_request(_LISTEN))
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"the proc connector refuses us (CAP_NET_ADMIN?): {error.strerror}") from error

    def fileno(self) -> Optional[int]:
        return self._socket.fileno()

    def watch(self, pid: int, follow: bool = True) -> bool:
        self._lineage.join(pid, _comm(pid), time.monotonic_ns(), follow)
        return True

    def unwatch(self, pid: int) -> None:
        self._lineage.leave(pid)

    def watch_command(self, comm: str) -> bool:
        self._lineage.commands.add(comm)
        return True

    def end_lineage_at(self, comm: str) -> bool:
        self._lineage.leaves.add(comm)
        return True

    def read(self) -> List[Event]:
        events: List[Event] = []
        for _ in range(_MOST_RECORDS):
            try:
                event = self._decode(self._socket.recv(1024))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise Unavailable(f"the proc connector broke off: {error.strerror}") from error
                self._overflows += 1
                continue
            if event:
                events.append(event)
        return events

    def dropped(self) -> int:
        """Overflows: each lost one event or more."""
        return self._overflows

    def close(self) -> None:
        try:
            self._socket.send(_request(_IGNORE))
        except OSError:
            pass  # closing unsubscribes as well
        self._socket.close()

    def _enlarge_buffer(self) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)

    def _decode(self, datagram: bytes) -> Optional[ProcessEvent]:
        what, _cpu, at_ns = _event_header.unpack_from(datagram, _EVENT_AT)
        if what == _FORK:
            return self._born(at_ns, *_fork.unpack_from(datagram, _BODY_AT))
        if what == _EXEC:
            return self._executed(at_ns, *_exec.unpack_from(datagram, _BODY_AT))
        if what == _EXIT:
            return self._died(at_ns, *_exit.unpack_from(datagram, _BODY_AT))
        return None

    def _born(self, at_ns: int, _caller: int, parent: int, thread: int, child: int) -> Optional[ProcessEvent]:
        member = self._lineage.born(parent, child, at_ns) if thread == child else None
        return ProcessEvent(at_ns, "fork", child, parent, member.comm) if member else None

    def _executed(self, at_ns: int, _thread: int, pid: int) -> Optional[ProcessEvent]:
        if pid not in self._lineage.members and not self._lineage.commands:
            return None
        member = self._lineage.executed(pid, _comm(pid), at_ns)
        return ProcessEvent(at_ns, "exec", pid, comm=member.comm) if member else None

    def _died(self, at_ns: int, thread: int, pid: int, status: int) -> Optional[ProcessEvent]:
        member = self._lineage.died(pid, at_ns) if thread == pid else None
        return ProcessEvent(at_ns, "exit", pid, comm=member.comm, exit_status=status) if member else None


def _request(operation: int) -> bytes:
    body = _connector_header.pack(_PROCESSES, _PROCESSES, 0, 0, 4, 0) + struct.pack("=I", operation)
    length = _netlink_header.size + len(body)
    return _netlink_header.pack(length, _NLMSG_DONE, 0, 0, os.getpid()) + body


def _comm(pid: int) -> str:
    """Its name now; "" when it is gone already."""
    try:
        with open(f"/proc/{pid}/comm", "rb", buffering=0) as file:
            return file.read().rstrip(b"\n").decode("utf-8", "replace")
    except OSError:
        return ""
