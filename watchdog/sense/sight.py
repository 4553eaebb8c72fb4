"""What kind of runtime answers, from its own words: can we see its pulls at all?

Pure.  Law: what we do not know how to watch is said, never judged.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from watchdog.core.observation import Sight

_CONTAINERD_SNAPSHOTTER = "io.containerd.snapshotter.v1"
_SNAP_PLACES = ("/snap/", "/var/snap/", "/var/lib/snapd/")


def is_remote(socket: str) -> bool:
    """Whether a configured socket is on another host, or reached as if it were."""
    return not socket.startswith("unix://")


def sight_of(
    info: Optional[Mapping[str, Any]],
    version: Optional[Mapping[str, Any]],
    server: str,
    exe_path: str,
    namespace_depth: int,
) -> Sight:
    """How well a local runtime can be seen.

    `info`, `version` and `server` (the Server header) are what its API said, None
    and "" where it has not yet; `namespace_depth` is 1 for a process of our own
    pid namespace.
    """
    places = (exe_path, _text(info, "DockerRootDir"))
    options = [str(option).split(",") for option in _list(info, "SecurityOptions")]
    # In this order: what lies further out hides what lies further in.
    kinds = (
        (Sight.PODMAN, _is_podman(version, server)),
        (Sight.NESTED, namespace_depth > 1),
        (Sight.SNAP, any(place.startswith(_SNAP_PLACES) for place in places)),
        (Sight.UNKNOWN, info is None),
        (Sight.ROOTLESS, any("name=rootless" in option for option in options)),
        (Sight.CONTAINERD_STORE, ["driver-type", _CONTAINERD_SNAPSHOTTER] in _list(info, "DriverStatus")),
    )
    return next((sight for sight, fits in kinds if fits), Sight.FULL)


def _is_podman(version: Optional[Mapping[str, Any]], server: str) -> bool:
    names = [str(one.get("Name", "")) for one in _list(version, "Components") if isinstance(one, dict)]
    return server.lower().startswith("libpod") or any("podman" in name.lower() for name in names)


def _list(answer: Optional[Mapping[str, Any]], key: str) -> List[Any]:
    value = answer.get(key) if answer is not None else None
    return value if isinstance(value, list) else []


def _text(answer: Optional[Mapping[str, Any]], key: str) -> str:
    value = answer.get(key) if answer is not None else None
    return value if isinstance(value, str) else ""


# What to tell people; nothing where we see everything.
EXPLANATIONS = {
    Sight.CONTAINERD_STORE: "it keeps images in containerd, which unpacks them: its pulls are not watched",
    Sight.PODMAN: "podman answers on this socket: nothing is done to its pulls",
    Sight.REMOTE: "it is on another host, or reached like one: run pull-watchdog there",
    Sight.ROOTLESS: "it is rootless, in a user namespace of its own: nothing is done to its pulls",
    Sight.SNAP: "it is confined in a snap: nothing is done to its pulls",
    Sight.NESTED: "it runs in another pid namespace, as in a container: nothing is done to its pulls",
    Sight.UNKNOWN: "it has not said yet how it stores images",
}
