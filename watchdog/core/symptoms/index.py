"""Which rules are worth trying on a text: those of whose words a stem is in it.

There are some two hundred rules with some seven hundred words.  A flood of
error lines is no time to look for all of them in each line.

Law: the same answer as going through all rules in their order.
"""

from __future__ import annotations

import re
from typing import Iterator, Optional, Sequence

from watchdog.core.symptoms.rule import Rule, first_match
from watchdog.core.symptoms.sieve import FOUND_STEMS, stems_in, trie


class RuleIndex:
    """Rules in their order, found by the stems of their words; `exceptions` overrule them all."""

    def __init__(self, rules: Sequence[Rule], exceptions: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._exceptions = tuple(exceptions)
        self._find_exception = re.compile(trie(word for rule in exceptions for word in rule.one_of)).search
        self._of_stem = {stem: self._rules_with(stem) for stem in FOUND_STEMS}

    def _rules_with(self, stem: str) -> int:
        """A bit for each rule that has a word with this stem."""
        having = (any(stem in word for word in rule.one_of) for rule in self._rules)
        return sum(1 << number for number, has in enumerate(having) if has)

    def first_match(self, text: str) -> Optional[Rule]:
        """The first rule that matches this lower-cased text; the exception, if one does, too."""
        rule = next((rule for rule in self._worth_trying(text) if rule.matches(text)), None)
        return rule and (self.exception(text) or rule)

    def exception(self, text: str) -> Optional[Rule]:
        """The first exception that matches this lower-cased text."""
        return first_match(self._exceptions, text) if self._find_exception(text) else None

    def _worth_trying(self, text: str) -> Iterator[Rule]:
        found = 0
        for stem in stems_in(text):
            found |= self._of_stem[stem]
        while found:
            lowest = found & -found
            yield self._rules[lowest.bit_length() - 1]
            found ^= lowest
