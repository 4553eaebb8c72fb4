"""`pull-watchdog status`: what is going on, on one screen.

Reads RUN_DIR/state.json and /proc/PID/stat and nothing else, so it answers at
once when the agent, the runtime or a disk hangs.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, add_json, config_or_defaults
from watchdog.cli.screen import Screen, open_incidents
from watchdog.cli.statefile import Seen, read_state
from watchdog.cli.text import style_for
from watchdog.errors import NotRunning


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("status", help="what is going on: pulls, hangs, what is done about them")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the state; the exit status says whether the agent runs and whether a pull hangs."""
    try:
        seen = read_state(config_or_defaults(args).run_dir)
    except NotRunning as error:
        if args.json:
            print(json.dumps({"running": False}))
        else:
            print(error, file=sys.stderr)
        return ExitCode.NOT_RUNNING
    print(_as_json(seen) if args.json else "\n".join(Screen(seen, style_for(sys.stdout)).lines()))
    return _status(seen)


def _as_json(seen: Seen) -> str:
    truth = {"running": seen.running, "stale": seen.stale, "age_seconds": round(seen.age_s, 3)}
    return json.dumps({**seen.state, **truth}, indent=1)


def _status(seen: Seen) -> ExitCode:
    if not seen.running:
        return ExitCode.NOT_RUNNING
    if open_incidents(seen.state):
        return ExitCode.HANG
    return ExitCode.INTERNAL if seen.stale else ExitCode.OK
