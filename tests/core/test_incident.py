"""An incident: its transition table, its identity, and what it knows of its actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Tuple

import pytest

from watchdog.core.causes.finding import Cause, process_name
from watchdog.core.incident import (
    OPEN,
    ActionTaken,
    Happening,
    Incident,
    Owed,
    State,
    incident_id,
    with_action,
)
from watchdog.core.observation import Outcome, ProcessKey, ProcessSample
from watchdog.core.pull import AffectedPull
from watchdog.errors import WatchdogError

S, H = State, Happening
LEGAL: Dict[Tuple[State, Happening], State] = {
    (S.CONFIRMED, H.FOUND_AGAIN): S.CONFIRMED,
    (S.CONFIRMED, H.ACTION_STARTED): S.ACTING,
    (S.CONFIRMED, H.PROGRESS): S.CLEARED,
    (S.CONFIRMED, H.SUBJECT_ENDED): S.GONE,
    (S.CONFIRMED, H.NOTHING_LEFT): S.GAVE_UP,
    (S.CONFIRMED, H.ACKNOWLEDGED): S.CONFIRMED,
    (S.ACTING, H.ACTION_ENDED): S.VERIFYING,
    (S.ACTING, H.ACTION_LEFT_IT): S.CONFIRMED,
    (S.VERIFYING, H.PROGRESS): S.RECOVERED,
    (S.VERIFYING, H.NO_PROGRESS): S.CONFIRMED,
    (S.VERIFYING, H.SUBJECT_ENDED): S.GONE,
    (S.VERIFYING, H.NOTHING_LEFT): S.GAVE_UP,
    (S.RECOVERED, H.FOUND_AGAIN): S.CONFIRMED,
    (S.RECOVERED, H.ACKNOWLEDGED): S.RECOVERED,
    (S.CLEARED, H.FOUND_AGAIN): S.CONFIRMED,
    (S.CLEARED, H.ACKNOWLEDGED): S.CLEARED,
    (S.GONE, H.FOUND_AGAIN): S.CONFIRMED,
    (S.GONE, H.ACKNOWLEDGED): S.GONE,
    (S.GONE, H.ACTION_STARTED): S.ACTING,
    (S.GAVE_UP, H.ACKNOWLEDGED): S.CONFIRMED,
    (S.GAVE_UP, H.ACTION_STARTED): S.ACTING,
}
CULPRIT = ProcessSample(ProcessKey(7, 70), 1, "unpigz")
INCIDENT = Incident(
    "pw-1",
    "docker",
    Cause.DECOMPRESSOR_BLOCKED,
    S.CONFIRMED,
    CULPRIT,
    (),
    opened_wall_ns=1,
    confirmed_wall_ns=2,
)
ALL_STEPS = [(state, happening) for state in State for happening in Happening]


@pytest.mark.parametrize(("state", "happening"), ALL_STEPS, ids=lambda one: one.value)
def test_every_step_is_in_the_table_or_an_error_that_changes_nothing(state, happening):
    incident = replace(INCIDENT, state=state)
    to = LEGAL.get((state, happening))

    if to is None:
        with pytest.raises(WatchdogError, match=f"pw-1 is {state.value}: {happening.value} leads nowhere"):
            incident.after(happening)
        assert incident == replace(INCIDENT, state=state)
    else:
        assert incident.after(happening) == replace(incident, state=to)


def test_only_progress_leads_to_recovered():
    ways = {happening for (state, happening), to in LEGAL.items() if to is S.RECOVERED and state is not to}

    assert ways == {H.PROGRESS}


def test_recovered_is_reached_from_verifying_alone():
    assert {state for (state, _), to in LEGAL.items() if to is S.RECOVERED and state is not to} == {
        S.VERIFYING
    }


def test_every_open_state_has_a_way_out():
    for state in OPEN:
        assert any(to is not state for (at, _), to in LEGAL.items() if at is state)


@pytest.mark.parametrize("state", State)
def test_open_is_what_something_may_still_happen_to(state):
    assert replace(INCIDENT, state=state).is_open is (
        state in (S.CONFIRMED, S.ACTING, S.VERIFYING, S.GAVE_UP)
    )


def test_the_id_is_that_of_the_process():
    name = incident_id("boot-1", "docker", process_name(CULPRIT))
    others = [
        incident_id("boot-2", "docker", process_name(CULPRIT)),
        incident_id("boot-1", "second", process_name(CULPRIT)),
        incident_id("boot-1", "docker", process_name(replace(CULPRIT, key=ProcessKey(8, 70)))),
        incident_id("boot-1", "docker", process_name(replace(CULPRIT, key=ProcessKey(7, 71)))),
    ]

    assert name == incident_id("boot-1", "docker", process_name(replace(CULPRIT, comm="other", states="T")))
    assert name not in others and len(set(others)) == 4
    assert name.startswith("pw-") and len(name) == 11


def acted(*actions: ActionTaken) -> Incident:
    return replace(INCIDENT, actions=actions)


def test_its_actions_are_found_by_remedy_and_outcome():
    failed = ActionTaken("a", "resume", 1, Outcome.FAILED)
    running = ActionTaken("b", "resume", 2)
    done = ActionTaken("c", "kill_decompressor", 3, Outcome.DONE)
    incident = acted(failed, running, done)

    assert incident.taken("resume") == (failed, running)
    assert incident.taken("resume", Outcome.FAILED, Outcome.DONE) == (failed,)
    assert incident.running == (running,)


def test_an_action_is_brought_up_to_date_in_its_place():
    incident = acted(ActionTaken("a", "resume", 1), ActionTaken("b", "resume", 2))

    incident = with_action(incident, ActionTaken("a", "resume", 1, Outcome.DONE))

    assert [(one.action, one.outcome) for one in incident.actions] == [("a", Outcome.DONE), ("b", None)]


@pytest.mark.parametrize(
    ("remedy", "outcome", "freed"),
    [
        ("resume", Outcome.DONE, True),
        ("kill_decompressor", Outcome.EXPIRED, True),
        ("restart_runtime", Outcome.DONE, True),
        ("resume", Outcome.FAILED, False),
        ("resume", Outcome.REFUSED, False),
        ("resume", None, False),
        ("repull", Outcome.DONE, False),
        ("substitute_decompressor", Outcome.DONE, False),
    ],
)
def test_it_knows_when_it_may_have_been_freed(remedy, outcome, freed):
    incident = acted(
        ActionTaken("a", "kill_decompressor", 5, Outcome.DONE), ActionTaken("b", remedy, 9, outcome)
    )

    assert incident.freed_wall_ns == (9 if freed else 5)
    assert INCIDENT.freed_wall_ns == 0


@pytest.mark.parametrize(
    ("owed", "due"),
    [
        (Owed(AffectedPull("a")), False),
        (Owed(AffectedPull("a"), gone_samples=1), False),
        (Owed(AffectedPull("a"), gone_samples=2), True),
        (Owed(AffectedPull("a"), gone_samples=2, satisfied=True), False),
    ],
)
def test_a_pull_is_owed_once_nobody_has_been_there_for_two_looks(owed, due):
    assert owed.to_repull is due
