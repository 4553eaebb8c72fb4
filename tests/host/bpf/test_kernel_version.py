from __future__ import annotations

import os

import pytest

from watchdog.host.bpf import kernel_version


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("6.1.0-56-amd64", (6, 1)),
        ("5.10.0-46-cloud-amd64", (5, 10)),
        ("6.18.44-x", (6, 18)),
        ("nonsense", (0, 0)),
    ],
)
def test_parse(release: str, version: object) -> None:
    assert kernel_version.parse(release) == version


def test_old_kernels_are_for_diagnosis_only_and_5_10_is_not_old() -> None:
    assert "no BPF ring buffer" in (kernel_version.shortcoming((5, 4)) or "")
    assert "older than 5.10" in (kernel_version.shortcoming((5, 9)) or "")
    assert kernel_version.shortcoming((5, 10)) is None
    assert kernel_version.shortcoming((6, 1)) is None


def test_the_running_kernel() -> None:
    major, minor = kernel_version.running()
    assert os.uname().release.startswith(f"{major}.{minor}.")
