"""How the Harbors are that the operator named.

Law: asked once a minute, whoever else asks; a Harbor in need must not suffer
from those who look after it.
"""

from __future__ import annotations

from typing import List
from urllib.parse import urlsplit

from watchdog.core.observation import Observation
from watchdog.errors import WatchdogError
from watchdog.host import harbor
from watchdog.sense.health import Health

PERIOD_NS = 60_000_000_000


class HarborSensor:
    """One Harbor, by its address.  Not for several threads at once."""

    def __init__(self, url: str) -> None:
        self.name = f"harbor.{urlsplit(url).netloc}"
        self._url = url
        self._health = Health(self.name)

    def read(self, now_ns: int) -> List[Observation]:
        """What it says of itself now."""
        try:
            seen = harbor.look(self._url)
        except WatchdogError as error:
            return self._health.down(str(error))
        trouble = "; ".join(seen.unhealthy) or ("" if seen.status == 200 else f"it answers {seen.status}")
        return [*self._health.up(trouble), seen]
