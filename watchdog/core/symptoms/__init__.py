"""The tables behind core/symptom.py: what the products write, one file a family.

`RULES` is their order: what is no symptom at all first, then the products that
have words of their own, then what any Go or Rust program says about a network,
then HTTP answers, and last what only says that something ended.
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
    *benign.RULES,
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
