"""The lab for tests of the sensors."""

from __future__ import annotations

from typing import List, Type, TypeVar

from tests.lab.conftest import _lab_is_possible, lab  # noqa: F401  (fixtures)
from watchdog.core.observation import Observation

_Kind = TypeVar("_Kind")


def only(kind: Type[_Kind], observations: List[Observation]) -> _Kind:
    """The one observation of that kind."""
    (found,) = [one for one in observations if isinstance(one, kind)]
    return found
