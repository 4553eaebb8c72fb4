"""A sensor's own voice: it says once that it cannot see, and once that it sees again."""

from __future__ import annotations

from typing import List, Optional

from watchdog.core.observation import Observation, SensorState


class Health:
    """Turns trouble into SensorState, without repeating itself."""

    def __init__(self, sensor: str) -> None:
        self._sensor = sensor
        self._told: Optional[SensorState] = None

    def up(self, detail: str = "") -> List[Observation]:
        """It sees."""
        return self._tell(SensorState(self._sensor, True, detail))

    def down(self, detail: str) -> List[Observation]:
        """It does not see, and why."""
        return self._tell(SensorState(self._sensor, False, detail))

    def _tell(self, state: SensorState) -> List[Observation]:
        if state == self._told:
            return []
        self._told = state
        return [state]
