"""What the runtime's API tells of images: pulled, tagged, deleted, loaded.

An image is announced when its pull has ended, so this confirms and does not
warn.  Law: nobody is connected to before a runtime is known to run, because a
connection would start one that is switched off.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from watchdog.core.observation import ImageEvent, Observation, ProcessKey
from watchdog.core.reference import parse_reference
from watchdog.host.docker import ApiError, DockerApi, EventStream
from watchdog.sense.health import Health
from watchdog.sense.sight import is_remote

_RETRY_NS = 5_000_000_000
_ACTIONS = frozenset({"pull", "push", "tag", "untag", "delete", "load", "import"})


class ImageEventSensor:
    """The events of one runtime.

    `follow` may be called from any thread, everything else from one only.
    """

    def __init__(self, runtime: str, socket: str) -> None:
        self._runtime = runtime
        self._remote = is_remote(socket)
        self._health = Health(f"image_events.{runtime}")
        self._api = DockerApi(socket[len("unix://") :])
        self._daemon: Optional[ProcessKey] = None
        self._stream: Optional[EventStream] = None
        self._tried_ns = -_RETRY_NS

    def follow(self, daemon: Optional[ProcessKey]) -> None:
        """This process is the runtime from now on; None: there is none."""
        self._daemon = daemon

    def fileno(self) -> Optional[int]:
        """Readable when there is something to read; None while nobody tells us."""
        return self._stream.fileno() if self._stream is not None else None

    def read(self, now_ns: int) -> List[Observation]:
        """The events that have come; connects first where that is due (at most 2 s)."""
        if self._daemon is None or self._remote:
            self.close()
            return []
        try:
            stream = self._connected(now_ns)
            events = stream.read() if stream is not None else []
        except ApiError as error:
            self.close()
            return self._health.down(str(error))
        seen = [self._event(event) for event in events]
        observations = self._health.up() if self._stream is not None else []
        return [*observations, *(event for event in seen if event is not None)]

    def close(self) -> None:
        """Stop listening."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _connected(self, now_ns: int) -> Optional[EventStream]:
        if self._stream is None and now_ns - self._tried_ns >= _RETRY_NS:
            self._tried_ns = now_ns
            self._stream = self._api.events({"type": ["image"]})
        return self._stream

    def _event(self, event: Dict[str, Any]) -> Optional[ImageEvent]:
        action, actor = event.get("Action"), event.get("Actor")
        if action not in _ACTIONS or not isinstance(actor, dict):
            return None
        attributes = actor.get("Attributes")
        name = attributes.get("name") if isinstance(attributes, dict) else None
        # Only a pull has the whole reference as its id; in its name the tag is missing.
        word = actor.get("ID") if action == "pull" else name or actor.get("ID")
        return ImageEvent(self._runtime, action, _normalised(str(word or "")))


def _normalised(word: str) -> str:
    """The reference in full; the id of an image stays as it is."""
    reference = None if word.startswith("sha256:") else parse_reference(word)
    return str(reference) if reference is not None else word
