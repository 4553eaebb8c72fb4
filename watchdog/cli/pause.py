"""`pull-watchdog pause DURATION --reason WHY`: no action for a while; `pause off` ends it.

A pause has an owner, a reason and an end, so nobody has to wonder about it
later.  The agent goes on looking and telling.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog.cli.child import in_child
from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, config_of
from watchdog.errors import ConfigError, Deadline
from watchdog.report.files import make_directory, write_whole
from watchdog.yamlfile import duration_ns

FILE_NAME = "pause.json"
LONGEST_NS = 90 * 86400 * 10**9
_DISK_WITHIN_S = 5.0


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("pause", help="stop all action for a while; looking and telling go on")
    parser.add_argument("duration", metavar="DURATION", help="such as 30m, 2h or 1d; `off` ends a pause")
    parser.add_argument("--reason", metavar="WHY", help="why, for those who come after you")
    add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write or remove STATE_DIR/pause.json."""
    config = config_of(args)
    path = config.state_dir / FILE_NAME
    if args.duration == "off":
        _on_disk(config.run_dir, path, lambda: path.unlink(missing_ok=True))
        print("No pause: actions are made again as the configuration says.")
        return ExitCode.OK
    if not args.reason or not args.reason.strip():
        raise ConfigError("a pause needs a reason: pull-watchdog pause 2h --reason 'moving the data root'")
    until_ns = time.time_ns() + _length_ns(args.duration)
    content = {"until_wall_ns": until_ns, "reason": args.reason.strip(), "owner": _who()}
    _on_disk(config.run_dir, path, lambda: _write(path, json.dumps(content)))
    until = datetime.fromtimestamp(until_ns // 10**9).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    print(
        f"All action is paused until {until}. Looking and telling go on; `pull-watchdog pause off` ends it."
    )
    return ExitCode.OK


def _length_ns(text: str) -> int:
    try:
        length_ns = duration_ns(text)
    except ValueError as error:
        raise ConfigError(f"pause: {error}") from None
    if length_ns > LONGEST_NS:
        raise ConfigError('pause: at most 90d; to stop all action for good, set "mode: observe"')
    return length_ns


def _who() -> str:
    """The person, also behind sudo."""
    name = os.environ.get("SUDO_USER")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _write(path: Path, text: str) -> None:
    make_directory(path.parent, 0o700)
    write_whole(path, text.encode(), mode=0o600, sync=True)


def _on_disk(run_dir: Path, path: Path, job: Any) -> None:
    """Do `job` on a disk that may hang."""
    try:
        in_child(_DISK_WITHIN_S, str(path), job)
    except Deadline as error:
        raise Deadline(
            f"{error}: the disk hangs; `touch {run_dir}/inhibit` stops all action without it"
        ) from None
