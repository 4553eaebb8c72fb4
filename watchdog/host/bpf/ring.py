"""The ring buffer that the probes write and we read.

Law: the callback appends bytes and raises nothing, since ctypes would swallow
an exception there and the event with it.  Decoding comes after.
"""

from __future__ import annotations

import ctypes as ct
from typing import Any, List

from watchdog.errors import Unavailable
from watchdog.host.bpf import library

# What the callback tells libbpf: take the next one, or leave the rest in the ring.
_GO_ON = 0
_STOP = -1


class Ring:
    """A consumer of the ring map `descriptor`, which stays the caller's."""

    def __init__(self, libbpf: ct.CDLL, descriptor: int, most_records: int = 4096) -> None:
        self._libbpf = libbpf
        self._most_records = most_records
        self._records: List[bytes] = []
        self._callback = self._make_callback()  # referenced as long as the ring lives
        self._ring = libbpf.ring_buffer__new(descriptor, self._callback, None, None)
        if not self._ring:
            raise Unavailable(f"the ring buffer cannot be mapped: {library.last_error()}")

    def _make_callback(self) -> Any:
        try:
            return library.RING_CALLBACK(self._take)
        except MemoryError:  # old libffi writes code at run time
            raise Unavailable(
                "no callback can be made (MemoryDenyWriteExecute= with an old libffi?)"
            ) from None

    def consume(self) -> List[bytes]:
        """Take what is there without waiting, at most `most_records`."""
        self._libbpf.ring_buffer__consume(self._ring)
        records, self._records = self._records, []
        return records

    def close(self) -> None:
        self._libbpf.ring_buffer__free(self._ring)
        self._ring = None

    def _take(self, _context: int, address: int, size: int) -> int:
        self._records.append(ct.string_at(address, size))
        return _STOP if len(self._records) >= self._most_records else _GO_ON
