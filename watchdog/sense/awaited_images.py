"""Whether the images that a verification waits for are there.

Events are told once and can be missed; this asks.  Law: GET, by digest, only
while somebody waits.
"""

from __future__ import annotations

from typing import List, Sequence, Tuple

from watchdog.core.observation import ImageEvent, Observation
from watchdog.host.docker import ApiError, DockerApi
from watchdog.sense.health import Health
from watchdog.sense.sight import is_remote


class AwaitedImageSensor:
    """The awaited images of one runtime.

    `wait_for` may be called from any thread, `read` from one only.
    """

    def __init__(self, runtime: str, socket: str) -> None:
        self._runtime = runtime
        self._remote = is_remote(socket)
        self._health = Health(f"awaited_images.{runtime}")
        self._api = DockerApi(socket[len("unix://") :])
        self._awaited: Tuple[str, ...] = ()

    def wait_for(self, images: Sequence[str]) -> None:
        """These are waited for from now on, as REPOSITORY@DIGEST."""
        self._awaited = tuple(images)

    def read(self, now_ns: int) -> List[Observation]:
        """One event `present` for each that is there."""
        if self._remote:
            return []
        try:
            here = [image for image in self._awaited if self._api.has_image(image)]
        except ApiError as error:
            return self._health.down(str(error))
        return [*self._health.up(), *(ImageEvent(self._runtime, "present", image) for image in here)]
