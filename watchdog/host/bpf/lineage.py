"""Which processes belong to the watched trees, for engines without a kernel filter.

Does in user space what probes/process_life.bpf.c does in the kernel: a child
of a watched process is watched from its birth, a death takes it out, a command
name begins or ends a lineage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Optional, Set


@dataclass(frozen=True)
class Member:
    """`follow`: its children become members at their birth.  `comm` is "" while unknown."""

    follow: bool
    comm: str


class Lineage:
    """The members, by pid, and the command names that have a rule."""

    def __init__(self) -> None:
        self.members: Dict[int, Member] = {}
        self.commands: Set[str] = set()
        self.leaves: Set[str] = set()

    def join(self, pid: int, comm: str, follow: bool = True) -> None:
        self.members[pid] = Member(follow, comm)

    def born(self, parent: int, child: int) -> Optional[Member]:
        """The child as a member; None when it is nobody of ours."""
        above = self.members.get(parent)
        if above is None or not above.follow:
            return None
        self.members[child] = Member(True, above.comm)
        return self.members[child]

    def executed(self, pid: int, comm: str) -> Optional[Member]:
        """The process as a member after an exec; None when it is nobody of ours."""
        if comm in self.commands:
            self.join(pid, comm)
        known = self.members.get(pid)
        if known is None:
            return None
        self.members[pid] = replace(known, comm=comm, follow=known.follow and comm not in self.leaves)
        return self.members[pid]

    def died(self, pid: int) -> Optional[Member]:
        """The member that it was; None when it was nobody of ours."""
        return self.members.pop(pid, None)
