"""The ways in which a pull of the virtual machine hangs, and what looks like one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Mapping

if TYPE_CHECKING:
    from tests.core.machine import Extraction, Machine

PIPE_FULL = 65_536


def _at_fault(states: str, wait: str, **more: object) -> Callable[[Machine, Extraction], None]:
    """The decompressor stands still with data before it and room behind it."""

    def hang(machine: Machine, one: Extraction) -> None:
        one.worker.stand(states, wait, **more)
        one.worker.pipes(filled=PIPE_FULL, room=True)
        _untar_waits(one)

    return hang


def _behind(
    states: str, wait: str, disk_moves: bool = True, **more: object
) -> Callable[[Machine, Extraction], None]:
    """The untar stands still, so that the pipes before it are full."""

    def hang(machine: Machine, one: Extraction) -> None:
        one.worker.stand("S", "write:1")
        one.worker.pipes(filled=PIPE_FULL, room=False)
        if one.untar:
            one.untar.stand(states, wait, **more)
            one.untar.pipes(filled=PIPE_FULL)
        machine.disk_moves = disk_moves

    return hang


def _daemon(
    states: str, wait: str, disk_moves: bool = True, **more: object
) -> Callable[[Machine, Extraction], None]:
    """The runtime stands still: the decompressor's input runs dry, its output fills up."""

    def hang(machine: Machine, one: Extraction) -> None:
        one.worker.stand("S", "read:0")
        one.worker.pipes(filled=0, room=False)
        _untar_waits(one)
        machine.daemon.stand(states, wait, **more)
        machine.disk_moves = disk_moves

    return hang


def _untar_waits(one: Extraction) -> None:
    """For what the decompressor does not give it."""
    if one.untar:
        one.untar.stand("SSS", "read:0")
        one.untar.pipes(filled=0)


def _starved(machine: Machine, one: Extraction) -> None:
    _at_fault("S", "read:0")(machine, one)
    one.worker.pipes(filled=0, room=True)


def _input_ended(machine: Machine, one: Extraction) -> None:
    _at_fault("S", "nr:34")(machine, one)
    one.worker.pipes(filled=0, room=True, ended=True)


HANGS: Mapping[str, Callable[[Machine, Extraction], None]] = {
    "stopped": _at_fault("T", "nr:0"),
    "spinning": _at_fault("R", "running"),
    "blocked": _at_fault("S", "nr:34"),
    "input_ended": _input_ended,
    "starved": _starved,
    "output_full": _behind("RSS", "running"),
    "frozen_v1": _at_fault("D", "nr:0", frozen=True),
    "frozen_v2": _at_fault("S", "nr:0", frozen=True),
    "traced": _at_fault("t", "nr:0", tracer_pid=4242),
    "in_disk_sleep": _at_fault("D", "nr:0"),
    "untar_stopped": _behind("TTT", "nr:0"),
    "untar_blocked": _behind("SSS", "nr:202"),
    "untar_frozen": _behind("SSS", "nr:202", frozen=True),
    "untar_traced": _behind("ttt", "nr:202", tracer_pid=4242),
    "storage": _behind("DSS", "nr:257", disk_moves=False),
    "disk_busy": _behind("DSS", "nr:257"),
    "daemon_stopped": _daemon("T" * 9, "nr:202"),
    "daemon_frozen": _daemon("S" * 9, "nr:202", frozen=True),
    "daemon_traced": _daemon("t" * 9, "nr:202", tracer_pid=4242),
    "daemon_storage": _daemon("SSDSSSSSS", "nr:257", disk_moves=False),
}
