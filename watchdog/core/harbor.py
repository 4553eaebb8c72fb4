"""What a Harbor's own health says about a failed push, and the call that its version knows.

Law: advice only.  The calls need an administrator's password, which the agent does not have.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Optional, Tuple
from urllib.parse import urlsplit

from watchdog.core.advice.record import Advice
from watchdog.core.observation import HarborSeen

FRESH_NS = 150_000_000_000  # it is asked once a minute
_NOT_FOUND = 404
_REASONS = (("database", "database"), ("redis", "database"), ("registry", "registry_down"))
_SWITCHED_IN = (2, 4)  # the version in which the quota's switch moved


def host_of(url: str) -> str:
    """The registry that images of this Harbor name."""
    return re.sub(r":(443|80)$", "", urlsplit(url).netloc)


def reason_of(seen: HarborSeen) -> str:
    """Why it answers with errors, as far as it knows itself; "" where it says that it is well."""
    if seen.status == _NOT_FOUND:
        return "ingress_404"  # a Harbor answers this question always
    for component, reason in _REASONS:
        if any(one.startswith(component) for one in seen.unhealthy):
            return reason
    return ""


def for_version(advice: Advice, version: str) -> Advice:
    """The advice without the calls that this version does not know; all of them where it is not known."""
    number = _number(version)
    if number is None:
        return advice
    other = "2.4 and newer" if number < _SWITCHED_IN else "1.9 to 2.3"
    return replace(advice, elsewhere=tuple(one for one in advice.elsewhere if other not in one.whom))


def _number(version: str) -> Optional[Tuple[int, int]]:
    found = re.match(r"(\d{1,4})(?:\.(\d{1,4}))?", version)
    return (int(found[1]), int(found[2] or 0)) if found else None
