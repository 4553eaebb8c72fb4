"""`pull-watchdog act REMEDY --incident ID`: one action, by a person's hand.

It takes an incident and never a pid: what may be touched was seen and judged
before, and is checked again now.  One action at a time on a host; a person's
and the agent's share the lock, the ledger and the rules.
"""

from __future__ import annotations

import argparse
from typing import Any, List, Tuple

from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, add_json, config_of
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.errors import ConfigError

_REMEDIES = [one.value for one in Remedy]

EXIT = {
    Outcome.DONE: ExitCode.OK,
    Outcome.REFUSED: ExitCode.REFUSED,
    Outcome.FAILED: ExitCode.INTERNAL,
    Outcome.EXPIRED: ExitCode.INTERNAL,
}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("act", help="do what a remedy is for, on one incident")
    parser.add_argument("remedy", choices=_REMEDIES, metavar="REMEDY", help=", ".join(_REMEDIES))
    parser.add_argument("--incident", metavar="ID", help="as `incidents` shows it")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and touch nothing")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Act, and print what became of it."""
    config = config_of(args)
    if not args.incident:
        raise ConfigError(f"act {args.remedy}: say on which incident: --incident ID, as `incidents` shows it")
    from watchdog.act.run import run_remedy

    result = run_remedy(config, Remedy(args.remedy), args.incident, args.dry_run)
    if args.json:
        print(result.to_json())
    else:
        print("\n".join([f"{result.remedy}: {result.outcome.value}: {result.detail}", *_steps(result.steps)]))
    return EXIT[result.outcome]


def _steps(steps: Tuple[str, ...]) -> List[str]:
    return [f"  {number}. {step}" for number, step in enumerate(steps, start=1)]
