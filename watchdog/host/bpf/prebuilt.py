"""The libbpf engine: the prebuilt object, told where this kernel has its fields.

Nothing is compiled here and no kernel BTF is read; it takes a few milliseconds
and 2 MB.  A TCP tracepoint that this kernel lacks is left out; process life is
whole or refused.
"""

from __future__ import annotations

import ctypes as ct
import errno
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple

from watchdog.errors import Unavailable
from watchdog.host.bpf import library, perf_events, places, tracefs
from watchdog.host.bpf.decode import LAYOUT_VERSION
from watchdog.host.bpf.tracefs import Layout
from watchdog.host.bpf.tracepoints import MAPS, TracepointEngine

NAME = "libbpf"


def open_prebuilt(ring_bytes: int) -> TracepointEngine:
    """Load and attach the prebuilt object.  Raises Unavailable with the reason."""
    path = places.prebuilt_object()
    layout = tracefs.read_layout()
    libbpf = library.for_objects()
    with ExitStack() as undo:
        loaded = _open(libbpf, path)
        undo.callback(libbpf.bpf_object__close, loaded)
        maps = dict(_maps(libbpf, loaded))
        if not maps.keys() >= {*MAPS, "rodata"}:
            raise _foreign(path)
        _write_layout(libbpf, maps, layout, path)
        libbpf.bpf_map__set_max_entries(maps["events"], ring_bytes)
        _leave_out(libbpf, loaded, layout)
        if libbpf.bpf_object__load(loaded):
            raise Unavailable(f"the kernel refuses {path}: {library.last_error()}{_hint(ct.get_errno())}")
        _attach(libbpf, loaded, layout, undo)
        descriptors = {name: libbpf.bpf_map__fd(maps[name]) for name in MAPS}
        return TracepointEngine(NAME, libbpf, descriptors, layout.sees_tcp(), undo.pop_all().close)


def _open(libbpf: ct.CDLL, path: Path) -> int:
    loaded: int = libbpf.bpf_object__open_file(str(path).encode(), None)
    if not loaded:
        raise Unavailable(f"{path} is no BPF object: {library.last_error()}")
    return loaded


def _maps(libbpf: ct.CDLL, loaded: int) -> Iterator[Tuple[str, int]]:
    for found in _each(libbpf.bpf_object__next_map, loaded):
        name = libbpf.bpf_map__name(found).decode()
        yield "rodata" if name.endswith(".rodata") else name, found


def _write_layout(libbpf: ct.CDLL, maps: Dict[str, int], layout: Layout, path: Path) -> None:
    """Fill in the object's constants, which the verifier then takes as such."""
    packed, size = layout.packed(), ct.c_size_t()
    constants: int = libbpf.bpf_map__initial_value(maps["rodata"], ct.byref(size))
    if (
        size.value - len(packed) not in range(4)
        or ct.c_uint32.from_address(constants).value != LAYOUT_VERSION
    ):
        raise _foreign(path)
    ct.memmove(constants, packed, len(packed))


def _leave_out(libbpf: ct.CDLL, loaded: int, layout: Layout) -> None:
    for program, tracepoint in _programs(libbpf, loaded):
        if tracepoint in layout.refused:
            libbpf.bpf_program__set_autoload(program, False)


def _attach(libbpf: ct.CDLL, loaded: int, layout: Layout, undo: ExitStack) -> None:
    programs = {one: program for program, one in _programs(libbpf, loaded) if one not in layout.refused}
    events = perf_events.open_events(list(programs))
    for tracepoint in list(events):
        link = libbpf.bpf_program__attach_perf_event(programs[tracepoint], events[tracepoint])
        if not link:
            said = library.last_error()
            perf_events.close(events.values())
            raise Unavailable(f"tracepoint {':'.join(tracepoint)} cannot be attached: {said}")
        del events[tracepoint]  # the link's own from now on
        undo.callback(libbpf.bpf_link__destroy, link)


def _programs(libbpf: ct.CDLL, loaded: int) -> Iterator[Tuple[int, Tuple[str, str]]]:
    """Each program with the (category, name) of its tracepoint."""
    for program in _each(libbpf.bpf_object__next_program, loaded):
        _, category, name = libbpf.bpf_program__section_name(program).decode().split("/")
        yield program, (category, name)


def _each(following: Callable[[int, object], int], loaded: int) -> Iterator[int]:
    """libbpf's lists: ask for the one after the last, until there is none."""
    found = following(loaded, None)
    while found:
        yield found
        found = following(loaded, found)


def _foreign(path: Path) -> Unavailable:
    return Unavailable(f"{path} is of another version than this program (rebuild it: probes/build.sh)")


def _hint(number: int) -> str:
    return " (CAP_BPF and CAP_PERFMON are needed)" if number == errno.EPERM else ""
