"""`pull-watchdog run`: the agent, in the foreground."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from watchdog.cli.options import add_config, config_of


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("run", help="watch this host until SIGTERM")
    add_config(parser)
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write everything that is seen to FILE, for `replay`"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the agent; its exit status."""
    config = config_of(args)
    from watchdog import agent

    return agent.main(config, record=args.record)
