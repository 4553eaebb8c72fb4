"""The fixture of all tests here that need the probes."""

from __future__ import annotations

from tests.host.bpf.engines import probes_fixture

__all__ = ["probes_fixture"]
