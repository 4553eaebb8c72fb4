"""`pull-watchdog doctor`: what the agent needs here, what it has, and what to do.

It changes nothing, and no check can hold it up.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any, Dict, Iterator, List

from watchdog.cli.child import in_child
from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, add_json, config_of
from watchdog.cli.statefile import read_state
from watchdog.cli.text import Style, style_for, wrapped
from watchdog.config import Config, RuntimeConfig
from watchdog.errors import ConfigError, WatchdogError

_CHECK_WITHIN_S = 6.0
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unknown": "dim"}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "doctor", help="what the agent needs on this host, and what to do about it"
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine, and print each finding; the exit status is 1 when something is out of order."""
    findings = []
    style = style_for(sys.stdout)
    for finding in examine(args):
        findings.append(finding)
        if not args.json:
            print("\n".join(_lines(finding, style)), flush=True)
    if args.json:
        print(json.dumps(findings, indent=1))
    return ExitCode.INTERNAL if any(one["level"] == "fail" for one in findings) else ExitCode.OK


def examine(args: argparse.Namespace) -> Iterator[Dict[str, str]]:
    """All findings, one after the other, as {id, level, seen, advice}."""
    from watchdog.cli.checks import OF_HOST, OF_RUNTIME
    from watchdog.cli.checks.check import Patient

    config, broken = Config(), False
    try:
        config = config_of(args)
    except ConfigError as error:
        broken = True
        yield _finding("config", "fail", str(error), "what follows was examined with the defaults")
    patient = Patient(config, config.runtimes[0], _state(config))
    for name, check in OF_HOST[1:] if broken else OF_HOST:
        yield _examined(name, check, patient)
    for runtime in config.runtimes:
        patient = replace(patient, runtime=runtime, seen=_look(runtime))
        for name, check in OF_RUNTIME:
            yield _examined(f"{runtime.name}.{name}", check, patient)


def _examined(name: str, check: Any, patient: Any) -> Dict[str, str]:
    """A check's finding; one that hangs or fails is unknown, with its reason."""

    def call() -> Dict[str, str]:
        made = check(patient)
        return _finding(name, made.level.value, made.seen, made.advice)

    try:
        found: Dict[str, str] = in_child(_CHECK_WITHIN_S, "the check", call)
        return found
    except (WatchdogError, OSError) as error:
        return _finding(name, "unknown", str(error), "")


def _finding(name: str, level: str, seen: str, advice: str) -> Dict[str, str]:
    return {"id": name, "level": level, "seen": seen, "advice": advice}


def _look(runtime: RuntimeConfig) -> Any:
    """What can be seen of a runtime, once for all checks; None when that fails."""
    from watchdog.cli.checks.runtime import look

    try:
        return in_child(_CHECK_WITHIN_S, runtime.name, lambda: look(runtime))
    except (WatchdogError, OSError):
        return None


def _state(config: Config) -> Any:
    """The running agent's state; None where none runs."""
    try:
        seen = read_state(config.run_dir)
    except (WatchdogError, OSError):
        return None
    return seen.state if seen.running else None


def _lines(one: Dict[str, str], style: Style) -> List[str]:
    first, *rest = wrapped(one["id"], one["seen"], indent=9, column=29)
    lines = [style(f"{one['level']:<9}", _COLOURS[one["level"]]) + first[9:], *rest]
    if one["advice"]:
        lines += [style(line, "dim") for line in wrapped("", f"-> {one['advice']}", column=29)]
    return lines
