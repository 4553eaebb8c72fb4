"""Ring-buffer records -> observations: the mirror of probes/events.h.

Law: nothing is guessed.  A record of another kind or size means that object
and agent do not belong together, which the loader has ruled out by then.

Each table below repeats one struct, field by field, as (name, struct code);
tests/test_event_layout.py compares it with the header.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Tuple, Union

from watchdog.core.observation import ProcessEvent, TcpEvent

LAYOUT_VERSION = 1

Fields = Tuple[Tuple[str, str], ...]

_HEAD: Fields = (("at_ns", "Q"), ("kind", "I"), ("pid", "I"))

PROCESS_EVENT: Fields = (*_HEAD, ("other_pid", "I"), ("signal", "I"), ("comm", "16s"))
EXEC_EVENT: Fields = (*_HEAD, ("comm", "16s"), ("filename", "256s"))
TCP_EVENT: Fields = (
    *_HEAD,
    ("socket", "Q"),
    ("local_port", "H"),
    ("remote_port", "H"),
    ("old_state", "B"),
    ("new_state", "B"),
    ("pad", "H"),
    ("remote_address", "16s"),
)

# enum event_kind
PROCESS_KINDS = {1: "fork", 2: "exec", 3: "exit", 4: "signal"}
TCP_KINDS = {5: "state", 6: "reset_received", 7: "reset_sent", 8: "retransmit"}
_EXEC_KIND = 2


def packing(fields: Fields) -> struct.Struct:
    """How a struct lies in memory: native byte order, no gap that is not named."""
    return struct.Struct("=" + "".join(code for _, code in fields))


_head = packing(_HEAD)
_process_event = packing(PROCESS_EVENT)
_exec_event = packing(EXEC_EVENT)
_tcp_event = packing(TCP_EVENT)


def decode(record: bytes) -> Union[ProcessEvent, TcpEvent]:
    """One record of the ring.  Raises ValueError for one that events.h does not have."""
    try:
        kind = _head.unpack_from(record)[1]
        if kind == _EXEC_KIND:
            return _decode_exec(record)
        if kind in PROCESS_KINDS:
            return _decode_process(record)
        return _decode_tcp(record)
    except (struct.error, KeyError) as error:
        raise ValueError(
            f"a ring record that events.h does not have: {record[:32].hex()} ({error})"
        ) from error


def _decode_process(record: bytes) -> ProcessEvent:
    at_ns, kind, pid, other_pid, signal, comm = _process_event.unpack(record)
    return ProcessEvent(at_ns, PROCESS_KINDS[kind], pid, other_pid, _text(comm), signal=signal)


def _decode_exec(record: bytes) -> ProcessEvent:
    at_ns, kind, pid, comm, filename = _exec_event.unpack(record)
    return ProcessEvent(at_ns, PROCESS_KINDS[kind], pid, comm=_text(comm), filename=_text(filename))


def _decode_tcp(record: bytes) -> TcpEvent:
    at_ns, kind, pid, socket, local, remote, old, new, _pad, address = _tcp_event.unpack(record)
    return TcpEvent(at_ns, TCP_KINDS[kind], pid, socket, local, remote, _address(address), old, new)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _address(field: bytes) -> str:
    address = ipaddress.IPv6Address(field)
    return str(address.ipv4_mapped or address)
