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
    """`follow`: its children become members at their birth.  `comm` is "" while unknown.

    `since_ns`: what happened before is not ours to tell.  Events wait in a
    queue, so an old one may be read after the process became a member.
    """

    follow: bool
    comm: str
    since_ns: int


class Lineage:
    """The members, by pid, and the command names that have a rule."""

    def __init__(self) -> None:
        self.members: Dict[int, Member] = {}
        self.commands: Set[str] = set()
        self.leaves: Set[str] = set()

    def join(self, pid: int, comm: str, since_ns: int, follow: bool = True) -> None:
        """From `since_ns`, or from earlier for who is a member already."""
        known = self.members.get(pid)
        self.members[pid] = Member(follow, comm, known.since_ns if known else since_ns)

    def born(self, parent: int, child: int, at_ns: int) -> Optional[Member]:
        """The child as a member; None when it is nobody of ours."""
        above = self._member_at(parent, at_ns)
        if above is None or not above.follow:
            return None
        self.members[child] = Member(True, above.comm, at_ns)
        return self.members[child]

    def executed(self, pid: int, comm: str, at_ns: int) -> Optional[Member]:
        """The process as a member after an exec; None when it is nobody of ours."""
        if comm in self.commands:
            self.join(pid, comm, at_ns)
        known = self._member_at(pid, at_ns)
        if known is None:
            return None
        self.members[pid] = replace(known, comm=comm, follow=known.follow and comm not in self.leaves)
        return self.members[pid]

    def died(self, pid: int, at_ns: int) -> Optional[Member]:
        """The member that it was; None when it was nobody of ours."""
        return self.members.pop(pid) if self._member_at(pid, at_ns) else None

    def leave(self, pid: int) -> Optional[Member]:
        return self.members.pop(pid, None)

    def _member_at(self, pid: int, at_ns: int) -> Optional[Member]:
        member = self.members.get(pid)
        return member if member and member.since_ns <= at_ns else None
