"""A pytest plugin: tells each check's outcome over the second serial line.

A check's title is the first line of its docstring.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

LINE = Path("/dev/ttyS1")
MOST_DETAIL_LINES = 40

_titles: Dict[str, str] = {}
_seconds: Dict[str, float] = {}
_more: List[str] = []


def tell(line: str) -> None:
    with LINE.open("a") as out:
        out.write(line + "\n")


def tell_more(line: str) -> None:
    """For a check: a line that goes with its outcome, whatever that is."""
    _more.append(line)


def pytest_collection_modifyitems(items: Any) -> None:
    for item in items:
        title = (item.obj.__doc__ or item.name).strip().splitlines()[0].rstrip(".")
        case = item.name[len(item.originalname) :]
        _titles[item.nodeid] = f"{title} {case}".strip()


def pytest_runtest_logreport(report: Any) -> None:
    """Called for the set-up, the call and the tear-down of each check."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    outcome = str(report.outcome)
    if report.when != "call" and outcome == "passed":
        return
    tell(f"{outcome} {_seconds[report.nodeid]:.1f} {_titles.get(report.nodeid, report.nodeid)}")
    while _more:
        tell(f"| {_more.pop(0)}")
    if outcome == "failed":
        for line in str(report.longrepr).splitlines()[-MOST_DETAIL_LINES:]:
            tell(f"| {line}")
    elif outcome == "skipped":
        tell(f"| {report.longrepr[2]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_collectreport(report: Any) -> Iterator[None]:
    """A file of checks that cannot even be read is a failure of its own."""
    if report.failed:
        tell(f"failed 0.0 {report.nodeid} can be read")
        for line in str(report.longrepr).splitlines()[-MOST_DETAIL_LINES:]:
            tell(f"| {line}")
    yield


def pytest_sessionfinish() -> None:
    tell("end")
