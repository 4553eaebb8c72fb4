"""The command line: one file a command, each with add_parser(subparsers) and run(args).

Law: what a command needs is imported when it runs, so that `status` answers at
once.  A mistake is one line on stderr and an exit code that a script can rely
on, never a traceback.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import List, Optional

from watchdog import __version__
from watchdog.cli.codes import EXIT_CODES, ExitCode
from watchdog.errors import ConfigError, NotRunning, Refused, WatchdogError

PROGRAM = "pull-watchdog"
COMMANDS = (
    "run",
    "status",
    "incidents",
    "explain",
    "doctor",
    "act",
    "revert",
    "pause",
    "ack",
    "replay",
    "reload",
)
FOR_PROGRAMS = ("perform",)  # not in the list that --help shows


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; the exit status."""
    args = build_parser().parse_args(argv)
    try:
        status = int(args.run(args))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has seen enough (`| head`); nothing more can be told to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except KeyboardInterrupt:
        return 130
    except (WatchdogError, OSError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return code_of(error)


def code_of(error: Exception) -> ExitCode:
    """The exit code that belongs to an error."""
    if isinstance(error, ConfigError):
        return ExitCode.USAGE
    if isinstance(error, NotRunning):
        return ExitCode.NOT_RUNNING
    if isinstance(error, Refused):
        return ExitCode.REFUSED
    if isinstance(error, PermissionError):
        return ExitCode.PERMISSION
    return ExitCode.INTERNAL


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Notices hung image pulls on this host, frees them, and says so.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in (*COMMANDS, *FOR_PROGRAMS):
        module = importlib.import_module(f"watchdog.cli.{name}")
        module.add_parser(commands)
    return parser
