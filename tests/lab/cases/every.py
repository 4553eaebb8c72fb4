"""All cases, in the order of the table."""

from __future__ import annotations

from tests.lab.cases import (
    giving_up,
    hands_off,
    hung_decompressor,
    killed_agent,
    no_incident,
    observing,
    other_stages,
    shared_layers,
)

CASES = [
    *hung_decompressor.CASES,
    *other_stages.CASES,
    *shared_layers.CASES,
    *giving_up.CASES,
    *hands_off.CASES,
    *no_incident.CASES,
    *observing.CASES,
    *killed_agent.CASES,
]
