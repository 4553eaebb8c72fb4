"""libbpf by ctypes: its prototypes, loaded when first asked for.

Law: only what we call is declared, and every call goes through here, so that
a wrong argument fails in Python and not in C.

libbpf.so.1 can load the prebuilt object.  libbpf.so.0 (Debian 11, Ubuntu 22.04)
cannot, but serves maps and rings that bcc made.
"""

from __future__ import annotations

import ctypes as ct
import os
from typing import Any, List, Tuple

from watchdog.errors import Unavailable

RING_CALLBACK = ct.CFUNCTYPE(ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_size_t)

_Prototype = Tuple[str, Any, List[Any]]

_MAPS_AND_RINGS: List[_Prototype] = [
    ("bpf_map_update_elem", ct.c_int, [ct.c_int, ct.c_void_p, ct.c_void_p, ct.c_uint64]),
    ("bpf_map_lookup_elem", ct.c_int, [ct.c_int, ct.c_void_p, ct.c_void_p]),
    ("bpf_map_delete_elem", ct.c_int, [ct.c_int, ct.c_void_p]),
    ("libbpf_num_possible_cpus", ct.c_int, []),
    ("libbpf_set_print", ct.c_void_p, [ct.c_void_p]),
    ("ring_buffer__new", ct.c_void_p, [ct.c_int, RING_CALLBACK, ct.c_void_p, ct.c_void_p]),
    ("ring_buffer__consume", ct.c_int, [ct.c_void_p]),
    ("ring_buffer__free", None, [ct.c_void_p]),
]
_OBJECTS: List[_Prototype] = [
    ("bpf_object__open_file", ct.c_void_p, [ct.c_char_p, ct.c_void_p]),
    ("bpf_object__load", ct.c_int, [ct.c_void_p]),
    ("bpf_object__close", None, [ct.c_void_p]),
    ("bpf_object__next_map", ct.c_void_p, [ct.c_void_p, ct.c_void_p]),
    ("bpf_object__next_program", ct.c_void_p, [ct.c_void_p, ct.c_void_p]),
    ("bpf_map__name", ct.c_char_p, [ct.c_void_p]),
    ("bpf_map__fd", ct.c_int, [ct.c_void_p]),
    ("bpf_map__initial_value", ct.c_void_p, [ct.c_void_p, ct.POINTER(ct.c_size_t)]),
    ("bpf_map__set_max_entries", ct.c_int, [ct.c_void_p, ct.c_uint32]),
    ("bpf_program__section_name", ct.c_char_p, [ct.c_void_p]),
    ("bpf_program__set_autoload", ct.c_int, [ct.c_void_p, ct.c_bool]),
    ("bpf_program__attach_perf_event", ct.c_void_p, [ct.c_void_p, ct.c_int]),
    ("bpf_link__destroy", ct.c_int, [ct.c_void_p]),
]


def for_objects() -> ct.CDLL:
    """libbpf with all of the above.  Raises Unavailable where it is missing or older than 1."""
    return _declare(_open("libbpf.so.1", "it loads the prebuilt object"), _MAPS_AND_RINGS + _OBJECTS)


def for_maps() -> ct.CDLL:
    """Any libbpf with maps and rings.  Raises Unavailable."""
    try:
        library = _open("libbpf.so.1", "")
    except Unavailable:
        library = _open("libbpf.so.0", "it reads the ring buffer")
    return _declare(library, _MAPS_AND_RINGS)


def last_error() -> str:
    """What the last call of libbpf on this thread failed with."""
    return os.strerror(ct.get_errno())


def _open(soname: str, purpose: str) -> ct.CDLL:
    try:
        return ct.CDLL(soname, use_errno=True)
    except OSError:
        raise Unavailable(
            f"{soname} is not installed ({purpose}; Debian's package is libbpf{soname[-1]})"
        ) from None


def _declare(library: ct.CDLL, prototypes: List[_Prototype]) -> ct.CDLL:
    for name, result, arguments in prototypes:
        try:
            function = getattr(library, name)
        except AttributeError:
            raise Unavailable(f"{library._name} is too old: it has no {name}") from None
        function.restype, function.argtypes = result, arguments
    library.libbpf_set_print(None)  # not to our stderr: what matters comes back as errno
    return library
