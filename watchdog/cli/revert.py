"""`pull-watchdog revert`: undo a lasting change, or hear why that cannot be.

It is never blocked by a pause, a budget or the mode, and doing it twice does no
harm.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from watchdog.cli.act import EXIT
from watchdog.cli.options import add_config, add_json, config_of
from watchdog.core.observation import Outcome
from watchdog.errors import Refused, WatchdogError


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("revert", help="undo what an action has changed")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("target", nargs="?", metavar="ACTION|REMEDY", help="one action, or all of a remedy")
    target.add_argument("--all", action="store_true", help="everything that is in force")
    target.add_argument("--expired", action="store_true", help="what has outlived its time")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Undo, and print what became of it."""
    config = config_of(args)
    from watchdog.act.revert import ALL, EXPIRED, NOTHING, revert, summary, worst

    target = ALL if args.all else EXPIRED if args.expired else args.target
    try:
        results = revert(config, target)
    except WatchdogError as error:
        if not args.json:
            raise
        outcome = Outcome.REFUSED if isinstance(error, Refused) else Outcome.FAILED
        print(json.dumps({"outcome": outcome.value, "detail": str(error)}))
        return EXIT[outcome]
    lines = [f"{one.action}: {one.outcome.value}: {one.detail}" for one in results]
    print(summary(results) if args.json else "\n".join(lines) or NOTHING)
    return EXIT[worst(results)]
