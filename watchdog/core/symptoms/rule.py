"""One rule: words that must be in a line, words that must not, and what they mean.

Law: `one_of` are necessary.  Without one of them a rule cannot match, which is
what lets the sieve (sieve.py) skip most lines without reading them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional, Pattern, Tuple

from watchdog.core.symptoms.vocabulary import SymptomKind


@dataclass(frozen=True)
class Rule:
    """All words are lower case and are looked for in the lower-cased text of a line.

    `one_of`: at least one is in the text.  `with_all`: these too.  `without`:
    none of these.  `matching`: and this is found.
    """

    kind: SymptomKind
    detail: str
    one_of: Tuple[str, ...]
    with_all: Tuple[str, ...] = ()
    without: Tuple[str, ...] = ()
    matching: Optional[Pattern[str]] = None

    def matches(self, text: str) -> bool:
        """Whether this lower-cased text shows the rule's symptom."""
        for word in self.one_of:  # a loop, not any(): this is where most lines of a flood end
            if word in text:
                return self._holds(text)
        return False

    def _holds(self, text: str) -> bool:
        if not all(word in text for word in self.with_all):
            return False
        if any(word in text for word in self.without):
            return False
        return self.matching is None or self.matching.search(text) is not None


def words(table: str) -> Tuple[str, ...]:
    """The phrases of a table, which are separated by bars and line ends; for long lists."""
    return tuple(word.strip() for row in table.strip().splitlines() for word in row.split("|"))


def first_match(rules: Iterable[Rule], text: str) -> Optional[Rule]:
    """The first rule that matches: more special rules stand before more general ones."""
    for rule in rules:
        if rule.matches(text):
            return rule
    return None
