"""All cases, in the order of the table."""

from __future__ import annotations

from tests.lab.cases import (
    cut_downloads,
    giving_up,
    hands_off,
    hung_decompressor,
    killed_agent,
    last_resort,
    mirrors,
    no_incident,
    observing,
    other_stages,
    pushes,
    random_moments,
    recognised,
    shared_layers,
    silent_downloads,
    slow_downloads,
    stories,
    substitution,
    told,
    unresponsive,
)

CASES = [
    *hung_decompressor.CASES,
    *other_stages.CASES,
    *shared_layers.CASES,
    *giving_up.CASES,
    *hands_off.CASES,
    *last_resort.CASES,
    *recognised.CASES,
    *substitution.CASES,
    *no_incident.CASES,
    *observing.CASES,
    *killed_agent.CASES,
    *random_moments.CASES,
    *silent_downloads.CASES,
    *cut_downloads.CASES,
    *slow_downloads.CASES,
    *mirrors.CASES,
    *stories.CASES,
    *told.CASES,
    *pushes.CASES,
    *unresponsive.CASES,
]
