"""Options that several commands share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from watchdog.config import DEFAULT_PATH, Config, load
from watchdog.errors import ConfigError


def add_config(parser: argparse.ArgumentParser) -> None:
    """-c FILE."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help=f"the configuration (default: {DEFAULT_PATH}, or the defaults when it is not there)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def config_of(args: argparse.Namespace) -> Config:
    """The configuration that the command line names.  Raises ConfigError."""
    return load(args.config)


def config_or_defaults(args: argparse.Namespace) -> Config:
    """The same for a command that only shows: a mistake is told, and the usual places are shown."""
    try:
        return config_of(args)
    except ConfigError as error:
        if args.config is not None:
            raise
        print(f"pull-watchdog: {error}", file=sys.stderr)
        return Config()
