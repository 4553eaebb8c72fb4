"""What to tell people about one cause: a record, and how it is filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Tuple


@dataclass(frozen=True)
class Elsewhere:
    """What to tell somebody else: `whom`, and `what` with the exact directive, key or call."""

    whom: str
    what: str


@dataclass(frozen=True)
class Advice:
    """Sentences for a tired engineer.

    `headline`: what happened, for a title.  `likely`: the likely cause.
    `here`: what to do on this node, the mildest first.  `elsewhere`: what
    others have to do.  `never`: what not to do, and why.  Texts may hold
    {names} of facts (see story.py).
    """

    headline: str
    likely: str
    here: Tuple[str, ...] = ()
    elsewhere: Tuple[Elsewhere, ...] = ()
    never: Tuple[str, ...] = ()

    def filled(self, facts: Mapping[str, str]) -> Advice:
        """The same with the {names} replaced."""

        def fill(text: str) -> str:
            for name, value in facts.items():
                text = text.replace("{" + name + "}", value)
            return text

        return Advice(
            headline=fill(self.headline),
            likely=fill(self.likely),
            here=tuple(map(fill, self.here)),
            elsewhere=tuple(Elsewhere(one.whom, fill(one.what)) for one in self.elsewhere),
            never=tuple(map(fill, self.never)),
        )

    def sentences(self, facts: Mapping[str, str]) -> Tuple[str, ...]:
        """For an incident: what others have to do, then what not to do."""
        one = self.filled(facts)
        return (*(f"{each.whom}: {each.what}" for each in one.elsewhere), *one.never)
