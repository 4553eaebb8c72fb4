"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from watchdog.config import DEFAULT_PATH, Config, load


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
