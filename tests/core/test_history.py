"""Budgets, cool-downs, recurrence and lasting changes, as the ledger tells them."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple

import pytest

from watchdog.core.history import History
from watchdog.core.observation import LedgerEntry, Outcome, ProcessKey
from watchdog.core.policy import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Budget, Remedy

NOW = 100 * DAY_NS
KILL, RESUME, SUBSTITUTE = Remedy.KILL_DECOMPRESSOR, Remedy.RESUME, Remedy.SUBSTITUTE_DECOMPRESSOR
CULPRIT = ProcessKey(7, 70)
BUDGET = Budget(3, DAY_NS, cooldown_ns=5 * SECOND_NS)


def entry(action: str, phase: str, age_ns: int, remedy: Remedy = KILL, **more: Any) -> LedgerEntry:
    fields = {
        "boot_id": "boot-1",
        "incident": "pw-1",
        "cause": "decompressor_blocked",
        "runtime": "docker",
        "culprit": CULPRIT,
        **more,
    }
    return LedgerEntry(action, phase, NOW - age_ns, remedy=remedy.value, **fields)


def history(*entries: LedgerEntry) -> History:
    return History(entries, NOW)


def both(
    action: str, age_ns: int, outcome: Optional[Outcome] = Outcome.DONE, **more: Any
) -> Tuple[LedgerEntry, ...]:
    """An intent, and its result a moment later."""
    return (
        entry(action, "intent", age_ns, **more),
        entry(action, "result", age_ns - 1, outcome=outcome, **more),
    )


class TestBudget:
    def test_an_unused_one_is_whole(self):
        assert history().remaining(KILL, "decompressor_blocked", BUDGET) == 3

    @pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.FAILED, Outcome.EXPIRED])
    def test_an_attempt_counts_however_it_ended(self, outcome):
        assert history(*both("a", HOUR_NS, outcome)).remaining(KILL, "decompressor_blocked", BUDGET) == 2

    def test_an_intent_counts_without_its_result(self):
        assert history(entry("a", "intent", 1)).remaining(KILL, "decompressor_blocked", BUDGET) == 2

    def test_a_refusal_does_not_count(self):
        assert history(*both("a", 9, Outcome.REFUSED)).remaining(KILL, "decompressor_blocked", BUDGET) == 3

    def test_it_never_goes_below_nothing(self):
        entries = [one for name in "abcde" for one in both(name, HOUR_NS)]

        assert history(*entries).remaining(KILL, "decompressor_blocked", BUDGET) == 0

    @pytest.mark.parametrize(("age_ns", "left"), [(DAY_NS - 1, 2), (DAY_NS, 3)])
    def test_a_use_leaves_it_at_the_end_of_the_window(self, age_ns, left):
        assert history(entry("a", "intent", age_ns)).remaining(KILL, "decompressor_blocked", BUDGET) == left

    @pytest.mark.parametrize(
        "other", [{"remedy": RESUME}, {"cause": "decompressor_spinning"}], ids=["remedy", "cause"]
    )
    def test_each_pair_of_remedy_and_cause_has_its_own(self, other):
        assert history(*both("a", 9, **other)).remaining(KILL, "decompressor_blocked", BUDGET) == 3

    @pytest.mark.parametrize("other", [{"boot_id": "boot-0"}, {"incident": "pw-2"}, {"runtime": "second"}])
    def test_it_is_the_hosts_over_reboots_incidents_and_runtimes(self, other):
        assert history(*both("a", 9, **other)).remaining(KILL, "decompressor_blocked", BUDGET) == 2

    def test_an_acknowledgement_gives_it_back(self):
        uses = both("a", 20)
        ack = entry("ack-1", "ack", 10)

        assert history(*uses, ack).remaining(KILL, "decompressor_blocked", BUDGET) == 3
        assert history(*uses, ack, *both("b", 5)).remaining(KILL, "decompressor_blocked", BUDGET) == 2

    def test_an_acknowledgement_of_another_cause_does_not(self):
        ack = entry("ack-1", "ack", 10, cause="untar_blocked")

        assert history(*both("a", 20), ack).remaining(KILL, "decompressor_blocked", BUDGET) == 2


class TestCooldown:
    def test_it_begins_with_the_last_intent(self):
        entries = (*both("a", HOUR_NS), *both("b", 2 * SECOND_NS))

        assert history(*entries).cooldown_ns(KILL, "decompressor_blocked", BUDGET) == 3 * SECOND_NS

    @pytest.mark.parametrize("age_ns", [5 * SECOND_NS, HOUR_NS])
    def test_it_ends(self, age_ns):
        assert history(*both("a", age_ns)).cooldown_ns(KILL, "decompressor_blocked", BUDGET) == 0

    def test_without_a_use_there_is_none(self):
        assert history().cooldown_ns(KILL, "decompressor_blocked", BUDGET) == 0


class TestSameProcess:
    @pytest.mark.parametrize(
        ("outcome", "known"),
        [
            (Outcome.DONE, True),
            (Outcome.EXPIRED, True),  # perhaps; and once is the most
            (Outcome.REFUSED, False),
            (Outcome.FAILED, False),
        ],
    )
    def test_it_was_continued(self, outcome, known):
        entries = both("a", HOUR_NS, outcome, remedy=RESUME)

        assert history(*entries).resumed(CULPRIT, "boot-1") is known

    @pytest.mark.parametrize(
        "other",
        [
            {"culprit": ProcessKey(7, 71)},
            {"culprit": ProcessKey(8, 70)},
            {"boot_id": "boot-0"},
            {"remedy": KILL},
        ],
    )
    def test_another_process_or_remedy_was_not(self, other):
        entries = both("a", HOUR_NS, **{"remedy": RESUME, **other})

        assert not history(*entries).resumed(CULPRIT, "boot-1")

    def test_what_was_made_before_an_acknowledgement_does_not_count(self):
        entries = both("a", 20)

        assert history(*entries).made(KILL, CULPRIT, "boot-1", NOW - 30)
        assert not history(*entries).made(KILL, CULPRIT, "boot-1", NOW - 10)


class TestRecurrence:
    HUNG = ("decompressor_blocked", "decompressor_spinning")

    def test_it_counts_the_other_incidents_in_which_we_killed(self):
        entries = (
            *both("a", 3 * HOUR_NS, incident="pw-1"),
            *both("b", 2 * HOUR_NS, incident="pw-2", cause="decompressor_spinning"),
            *both("c", HOUR_NS, incident="pw-2"),
        )

        assert history(*entries).recurrences("docker", self.HUNG, "pw-3") == 2
        assert history(*entries).recurrences("docker", self.HUNG, "pw-2") == 1

    @pytest.mark.parametrize(
        "other",
        [
            {"runtime": "second"},
            {"cause": "untar_blocked"},
            {"remedy": RESUME},
            {"outcome": Outcome.FAILED},
            {"outcome": Outcome.REFUSED},
        ],
    )
    def test_what_is_not_such_a_kill_does_not_count(self, other):
        entries = both("a", HOUR_NS, **{"outcome": Outcome.DONE, **other})

        assert history(*entries).recurrences("docker", self.HUNG, "pw-3") == 0

    @pytest.mark.parametrize(("age_ns", "count"), [(DAY_NS, 1), (DAY_NS + MINUTE_NS, 0)])
    def test_a_day_later_it_is_forgotten(self, age_ns, count):
        assert history(*both("a", age_ns)).recurrences("docker", self.HUNG, "pw-3") == count


DUE: Mapping[str, Any] = {"remedy": SUBSTITUTE, "expires_wall_ns": NOW}
LATER: Mapping[str, Any] = {"remedy": SUBSTITUTE, "expires_wall_ns": NOW + 1}


class TestLasting:
    @pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.EXPIRED, Outcome.FAILED])
    def test_what_may_have_been_made_lasts_until_it_is_undone(self, outcome):
        entries = both("a", HOUR_NS, outcome, **LATER)
        undone = entry("a", "revert", 5, outcome=Outcome.DONE, **LATER)

        assert [one.action for one in history(*entries).lasting()] == ["a"]
        assert history(*entries, undone).lasting() == []

    def test_an_intent_without_a_result_may_have_been_made(self):
        assert history(entry("a", "intent", 5, **LATER)).lasting()

    def test_what_was_refused_does_not_last(self):
        assert history(*both("a", HOUR_NS, Outcome.REFUSED, **LATER)).lasting() == []

    def test_a_failed_undoing_leaves_it(self):
        failed = entry("a", "revert", 5, outcome=Outcome.FAILED, **LATER)

        assert history(*both("a", HOUR_NS, **LATER), failed).lasting()

    def test_what_has_no_end_is_not_lasting(self):
        assert history(*both("a", HOUR_NS)).lasting() == []

    def test_it_is_due_when_its_time_is_over(self):
        assert history(*both("a", HOUR_NS, **DUE)).due("boot-1").action == "a"
        assert history(*both("a", HOUR_NS, **LATER)).due("boot-1") is None

    def test_it_does_not_outlive_its_boot(self):
        assert history(*both("a", HOUR_NS, **LATER)).due("boot-2").action == "a"

    def test_the_oldest_is_due_first(self):
        entries = (*both("a", 2 * HOUR_NS, **DUE), *both("b", HOUR_NS, **DUE))

        assert history(*entries).due("boot-1").action == "a"

    def test_the_last_undoing_is_known(self):
        tries = [entry("a", "revert", age, outcome=Outcome.FAILED) for age in (30, 10, 20)]

        assert history(*tries).last_revert_ns("a") == NOW - 10
        assert history(*tries).last_revert_ns("b") == 0
