"""What the tests of causes share: a pull that hangs, and what is said of it."""

from __future__ import annotations

from typing import List

from tests.core.machine import Extraction
from tests.core.scene import Scene

LONG = 30  # more looks than any threshold but that of orphans

DIAGNOSES = {
    "stopped": "decompressor_stopped",
    "spinning": "decompressor_spinning",
    "blocked": "decompressor_blocked",
    "input_ended": "decompressor_blocked",
    "frozen_v1": "decompressor_held",
    "frozen_v2": "decompressor_held",
    "traced": "decompressor_held",
    "untar_stopped": "untar_stopped",
    "untar_blocked": "untar_blocked",
    "untar_frozen": "untar_held",
    "untar_traced": "untar_held",
    "storage": "storage_stalled",
    "daemon_storage": "storage_stalled",
    "daemon_stopped": "daemon_stopped",
    "daemon_frozen": "daemon_held",
    "daemon_traced": "daemon_held",
    "starved": None,
    "output_full": None,
    "in_disk_sleep": None,
    "disk_busy": None,
}


def hung(scene: Scene, kind: str, **form: object) -> Extraction:
    """A pull that went well for a while and then hangs in that way."""
    one = scene.pull(**form)
    scene.tick(3)
    scene.hang(one, kind)
    return one


def causes(scene: Scene) -> List[str]:
    return [record["cause"] for record in scene.incidents]


def culprit(scene: Scene) -> int:
    return scene.incident["culprit"]["pid"]
