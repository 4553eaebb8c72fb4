"""Fixtures of the checks: the package, installed as an operator does it, and a node to try it on."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from tests.vm.inside import package
from tests.vm.inside.machine import codename
from tests.vm.inside.node import Node
from tests.vm.suite import SUITES, Suite


@pytest.fixture(scope="session")
def suite() -> Suite:
    """The release that this guest is."""
    return SUITES[codename()]


@pytest.fixture(scope="session")
def installed() -> None:
    package.install(package.built())


@pytest.fixture(scope="session")
def _one_node(installed: None) -> Node:
    return Node(Path("/srv/node"))


@pytest.fixture
def node(_one_node: Node) -> Iterator[Node]:
    """The guest as a node; cleaned after each check."""
    yield _one_node
    _one_node.clean()
