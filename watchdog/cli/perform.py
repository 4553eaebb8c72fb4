"""`pull-watchdog perform`: one request of an agent, from standard input; the answer on standard output.

Not for people: see `act` and `revert`.  Where the agent has no right to change
anything, this is what a socket of the service manager starts for it.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from typing import Any

from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, config_of
from watchdog.errors import ConfigError

_ASKED_WITHIN_S = 10


def add_parser(subparsers: Any) -> None:
    """Add the command; `--help` does not list it."""
    parser = subparsers.add_parser("perform")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what is asked; how it went is in the answer."""
    from watchdog.act.request import MOST_BYTES, answer, refusal
    from watchdog.host.bpf import perf_events

    signal.alarm(_ASKED_WITHIN_S)  # who connects and says nothing does not stay
    request = sys.stdin.buffer.readline(MOST_BYTES)
    if request == perf_events.REQUEST:
        with socket.socket(fileno=os.dup(sys.stdin.fileno())) as channel:
            perf_events.serve(channel)
        return ExitCode.OK
    try:
        print(answer(config_of(args), request), flush=True)
    except ConfigError as error:
        print(refusal(str(error)), flush=True)
    return ExitCode.OK
