"""The decompressing stage as it stands on the live machine.

The stage is the runtime's own child and those of its descendants that hold the
stage's pipes.  Behind a wrapper script that is the script's shell and the
program that it runs: ending one of the two frees nothing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from watchdog.act.identity import Subject, check_file, check_not_held, held
from watchdog.core.observation import ProcessKey, ProcessSample
from watchdog.errors import ProcessGone, Refused
from watchdog.host import proc
from watchdog.host.proc import Counters, Process

_MOST_MEMBERS = 32


@dataclass(frozen=True)
class Stage:
    """The members that hold the stage's pipes, all of them held, the deepest first."""

    members: Tuple[Subject, ...]

    @property
    def keys(self) -> Tuple[ProcessKey, ...]:
        return tuple(one.key for one in self.members)

    def counters(self) -> Dict[ProcessKey, Counters]:
        """The bytes that each member has moved so far."""
        return {one.key: one.process.io() for one in self.members}


@contextmanager
def held_stage(daemon: Subject, seen: Sequence[ProcessSample], culprit: ProcessKey) -> Iterator[Stage]:
    """Hold the whole stage that an incident saw.

    `seen`: its members then, the runtime's own child first.  Members that were
    born since are part of it; it must still have its first member, and
    `culprit` where that is one of those seen.  Raises Refused.
    """
    if not seen:
        raise Refused("the incident does not say which processes the decompressing stage has")
    with ExitStack() as stack:
        root = stack.enter_context(held(seen[0].key))
        _check_root(root, daemon, seen[0])
        pipes = _pipes_of(root.process, daemon.process)
        members = [root] + [stack.enter_context(held(key)) for key in _descendants(root.process)]
        holders = [one for one in members if _holds(one.process, pipes)]
        _check_members(holders, seen, culprit)
        yield Stage(tuple(reversed(holders)))


def _check_root(root: Subject, daemon: Subject, seen: ProcessSample) -> None:
    """The first member is the runtime's own child and runs another file than the runtime."""
    check_file(root, seen)
    if root.process.stat().parent_pid != daemon.key.pid:
        raise Refused(f"{root.name} is no child of the runtime (pid {daemon.key.pid})")
    mine, theirs = root.process.exe(), daemon.process.exe()
    if mine is None or theirs is None or (mine.device, mine.inode) == (theirs.device, theirs.inode):
        raise Refused(f"{root.name} is a part of the runtime itself, no decompressor")


def _check_members(holders: Sequence[Subject], seen: Sequence[ProcessSample], culprit: ProcessKey) -> None:
    by_key = {one.key: one for one in seen}
    for one in holders:
        if one.key in by_key:
            check_file(one, by_key[one.key])
        check_not_held(one)
        if "D" in one.process.states():
            raise Refused(f"{one.name} waits for storage: a signal does not end that")
    if culprit in by_key and culprit not in {one.key for one in holders}:
        raise Refused(f"process {culprit.pid}, which hung, has ended; what is left is another case")


def _pipes_of(root: Process, daemon: Process) -> FrozenSet[str]:
    """The pipes that the runtime gave its child as standard input, output and error.

    It feeds a decompressor and takes what comes out of it, and holds the other
    ends.  Its other children (containerd, a proxy of a port) have at most the
    runtime's own output.
    """
    links = [root.descriptor(number) or "" for number in (0, 1, 2)]
    pipes = frozenset(link for link in links if link.startswith("pipe:"))
    if not {links[0], links[1]} <= pipes or links[0] == links[1]:
        raise Refused(f"process {root.pid} does not read from one pipe and write to another: no decompressor")
    if not _holds(daemon, pipes):
        raise Refused(f"process {root.pid} has no pipe to the runtime: it is no decompressing stage")
    return pipes


def _holds(process: Process, pipes: FrozenSet[str]) -> bool:
    return any(link in pipes for _, link in process.descriptors())


def _descendants(root: Process) -> List[ProcessKey]:
    """All descendants, parents before their children."""
    found: List[ProcessKey] = []
    level = root.children()
    while level:
        if len(found) + len(level) > _MOST_MEMBERS:
            raise Refused(
                f"process {root.pid} has more than {_MOST_MEMBERS} descendants: no decompressing stage"
            )
        keys = [key for key in (_key_of(pid) for pid in level) if key is not None]
        found += keys
        level = [pid for key in keys for pid in _children_of(key)]
    return found


def _key_of(pid: int) -> Optional[ProcessKey]:
    try:
        return proc.identify(pid)
    except ProcessGone:
        return None


def _children_of(key: ProcessKey) -> List[int]:
    try:
        with proc.open_process(key) as process:
            return process.children()
    except ProcessGone:
        return []
