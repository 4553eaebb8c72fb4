"""The tables behind core/symptom.py: what the products write, one file a family.

`RULES` is their order: the products that have words of their own first, then
what any Go or Rust program says about a network, then HTTP answers, and last
what only says that something ended.  `LOOK_ALIKES` overrule them all.
"""

from __future__ import annotations

from typing import Tuple

from watchdog.core.symptoms import (
    answers,
    balancer,
    benign,
    daemon,
    dragonfly,
    endings,
    extraction,
    harbor,
    network,
    node,
    waiting,
)
from watchdog.core.symptoms.rule import Rule

RULES: Tuple[Rule, ...] = (
    *benign.NOTED,
    *answers.LIMITS,
    *dragonfly.RULES,
    *harbor.RULES,
    *daemon.RULES,
    *extraction.RULES,
    *node.RULES,
    *waiting.RULES,
    *balancer.RULES,
    *network.RULES,
    *dragonfly.UNNAMED,
    *answers.RULES,
    *endings.RULES,
)

LOOK_ALIKES: Tuple[Rule, ...] = benign.RULES
