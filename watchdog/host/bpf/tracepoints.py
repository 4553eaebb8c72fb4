"""The engine over loaded probes, whoever loaded them: libbpf or bcc.

It owns the maps' descriptors.  The probes are attached as long as `detach` was
not called.
"""

from __future__ import annotations

import ctypes as ct
import errno
from typing import Callable, FrozenSet, List, Mapping, Optional

from watchdog.errors import Unavailable
from watchdog.host.bpf import library
from watchdog.host.bpf.decode import decode
from watchdog.host.bpf.engine import Event, Sees
from watchdog.host.bpf.ring import Ring

MAPS = ("watched", "commands", "lost", "events")

# enum watch_flag, enum command_rule and enum loss of probes/events.h
WATCH_PROCESS, WATCH_CHILDREN = 1, 2
COMMAND_WATCH, COMMAND_LEAF = 1, 2
LOSSES = 2
COMM_BYTES = 16

SEES_PROCESSES = frozenset(
    (Sees.FORK, Sees.EXEC, Sees.EXIT, Sees.BRIEF, Sees.FILENAME, Sees.SIGNAL, Sees.SIGNAL_SENDER)
)


class TracepointEngine:
    """`maps`: the descriptor of each map in MAPS.  `detach` gives up probes and maps."""

    def __init__(
        self,
        name: str,
        libbpf: ct.CDLL,
        maps: Mapping[str, int],
        sees_tcp: bool,
        detach: Callable[[], None],
    ) -> None:
        self._name = name
        self._libbpf = libbpf
        self._maps = maps
        self._sees = SEES_PROCESSES | {Sees.TCP} if sees_tcp else SEES_PROCESSES
        self._detach = detach
        self._ring = Ring(libbpf, maps["events"])
        self._cpus = libbpf.libbpf_num_possible_cpus()

    @property
    def name(self) -> str:
        return self._name

    @property
    def sees(self) -> FrozenSet[Sees]:
        return self._sees

    def fileno(self) -> Optional[int]:
        return self._maps["events"]

    def watch(self, pid: int, follow: bool = True) -> bool:
        return self._update("watched", ct.c_uint32(pid), WATCH_PROCESS | (WATCH_CHILDREN if follow else 0))

    def unwatch(self, pid: int) -> None:
        self._libbpf.bpf_map_delete_elem(self._maps["watched"], ct.byref(ct.c_uint32(pid)))

    def watch_command(self, comm: str) -> bool:
        return self._update("commands", _command(comm), COMMAND_WATCH)

    def end_lineage_at(self, comm: str) -> bool:
        return self._update("commands", _command(comm), COMMAND_LEAF)

    def read(self) -> List[Event]:
        return [decode(record) for record in self._ring.consume()]

    def dropped(self) -> int:
        return sum(self._lost(index) for index in range(LOSSES))

    def close(self) -> None:
        self._ring.close()
        self._detach()

    def _update(self, name: str, key: ct._SimpleCData[int] | ct.Array[ct.c_char], value: int) -> bool:
        """False when the map is full.  Raises Unavailable for any other refusal."""
        number = ct.c_uint32(value)
        if self._libbpf.bpf_map_update_elem(self._maps[name], ct.byref(key), ct.byref(number), 0) == 0:
            return True
        if ct.get_errno() == errno.E2BIG:
            return False
        raise Unavailable(f"the BPF map {name} cannot be written: {library.last_error()}")

    def _lost(self, index: int) -> int:
        counts = (ct.c_uint64 * self._cpus)()  # one for each CPU that there may ever be
        key = ct.c_uint32(index)
        self._libbpf.bpf_map_lookup_elem(self._maps["lost"], ct.byref(key), counts)
        return sum(counts)


def _command(comm: str) -> ct.Array[ct.c_char]:
    """A map key: the name as the kernel has it, cut to 15 bytes and padded with zeros."""
    return ct.create_string_buffer(comm.encode()[: COMM_BYTES - 1], COMM_BYTES)
