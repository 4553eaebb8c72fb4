"""The packaged unit under its confinement, on this release's systemd."""

from __future__ import annotations

import os

from tests.vm.inside.conftest import UNIT, journal, show, wait_until


def check_starts(installed: None) -> None:
    """the packaged unit starts, is ready by its own word, and stays."""
    state = wait_until(
        "the unit is active",
        lambda: show(UNIT, "ActiveState", "SubState", "NRestarts", "MainPID", "Type"),
        120.0,
    )
    assert state["ActiveState"] == "active", (state, journal())
    assert state["NRestarts"] == "0", journal()


def check_namespaces(installed: None) -> None:
    """it lives in the host's own mount namespace."""
    pid = show(UNIT, "MainPID")["MainPID"]
    assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/1/ns/mnt")
