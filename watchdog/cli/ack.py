"""`pull-watchdog ack ID`: a person has looked at an incident that was given up; start anew."""

from __future__ import annotations

import argparse
import time
from typing import Any
from uuid import uuid4

from watchdog.cli.child import in_child
from watchdog.cli.codes import ExitCode
from watchdog.cli.incidents import find_incident
from watchdog.cli.options import add_config, config_of
from watchdog.config import Config
from watchdog.core.incident import State
from watchdog.core.observation import LedgerEntry
from watchdog.errors import Refused
from watchdog.report.incidents import Record

_DISK_WITHIN_S = 8.0  # the ledger waits up to 5 s for another writer


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "ack", help="an incident that was given up has been looked at: its budget starts anew"
    )
    parser.add_argument("incident", metavar="ID", help="as `incidents` shows it")
    parser.add_argument("--reason", metavar="WHY", default="", help="what was found or put right")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the acknowledgement into the ledger."""
    config = config_of(args)
    record = find_incident(config, args.incident)
    if record["state"] != State.GAVE_UP.value:
        state = str(record["state"]).replace("_", " ")
        raise Refused(f"incident {record['id']} is {state}: only one that was given up is acknowledged")
    in_child(_DISK_WITHIN_S, "the ledger", lambda: _append(config, record, args.reason))
    print(f"Incident {record['id']} is acknowledged; actions for {record['cause']} are counted anew.")
    return ExitCode.OK


def _append(config: Config, record: Record, reason: str) -> None:
    from watchdog.act.ledger import Ledger
    from watchdog.host.proc import boot_id

    Ledger(config.state_dir).append(
        LedgerEntry(
            action=f"ack-{uuid4().hex[:8]}",
            phase="ack",
            wall_ns=time.time_ns(),
            boot_id=boot_id(),
            incident=record["id"],
            remedy="",
            cause=record["cause"],
            runtime=record["runtime"],
            detail=reason,
        )
    )
