"""`pull-watchdog incidents`: what was found, what was done about it and whether it helped.

Reads the run directory first and the state directory in a child with a
deadline, so that a dead disk costs the older incidents and not the answer.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, List, Tuple

from watchdog.cli import paragraphs
from watchdog.cli.child import in_child
from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, add_json, config_or_defaults
from watchdog.cli.text import clean, clock, style_for
from watchdog.config import Config
from watchdog.errors import WatchdogError
from watchdog.report.incidents import Record, merged, read_records

_DISK_WITHIN_S = 2.0


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("incidents", help="what was found and done, oldest first")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the incidents; what could not be read is told on stderr."""
    records, problems = all_incidents(config_or_defaults(args))
    for problem in problems:
        print(f"pull-watchdog: {problem}", file=sys.stderr)
    if args.json:
        print(json.dumps(records, indent=1))
    elif records:
        print("\n".join(line for record in records for line in _lines(record)))
    else:
        print("No incident is known.")
    return ExitCode.OK


def all_incidents(config: Config) -> Tuple[List[Record], List[str]]:
    """The records of both directories, oldest first, and what could not be read."""
    in_memory, problems = read_records(config.run_dir / "incidents")
    path = config.state_dir / "incidents"
    try:
        on_disk, more = in_child(_DISK_WITHIN_S, str(path), lambda: _readable(path))
    except (WatchdogError, OSError) as error:
        on_disk, more = [], [f"{error}; incidents that are only there are missing"]
    return merged(on_disk, in_memory), problems + more


def find_incident(config: Config, name: str) -> Record:
    """The record of that incident.  Raises WatchdogError when there is none."""
    records, problems = all_incidents(config)
    for record in records:
        if record["id"] == name:
            return record
    unread = f" ({'; '.join(problems)})" if problems else ""
    raise WatchdogError(f"no incident {clean(name)} is known{unread}: `pull-watchdog incidents` lists them")


def _readable(path: Path) -> Any:
    records, problems = read_records(path)
    return [records, problems]


def _lines(record: Record) -> List[str]:
    day = f"{record['opened_at'][:10]} " if record["opened_at"] else ""
    head = f"{day}{clock(record['opened_at'])}  {record['id']}  {record['cause']}"
    state = str(record["state"]).replace("_", " ")
    lines = [style_for(sys.stdout)(clean(head), "bold") + f"  {state}"]
    return lines + [line for tell in paragraphs.BRIEFLY for line in tell(record)]
