"""`pull-watchdog explain`: what a log, or several, says went wrong.

Needs no root, no daemon and no agent.  Most lines of a log are fine: a sieve
over whole blocks finds the others, and only those are read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple

from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_json
from watchdog.core.policy import SECOND_NS

if TYPE_CHECKING:
    from watchdog.cli.log_lines import LogLines
    from watchdog.core.story import Told
    from watchdog.core.symptom import Symptom

DAY_NS = 86_400 * SECOND_NS
_RELATIVE = re.compile(r"(\d{1,6})(s|min|m|h|d)")
_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_SAYS_NOTHING = b'{"symptom":"none"}\n'


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        help="what a log says went wrong, and what to do",
        description=(
            "Reads logs of docker, containerd, the kubelet, registries, Harbor, Dragonfly, load balancers "
            "and the kernel, in any mixture and format. Exit status: 0 nothing wrong, 4 something found."
        ),
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="a log; - or nothing: standard input")
    parser.add_argument(
        "--since",
        type=since_ns,
        metavar="TIME",
        help="leave out what is older: 2h, 30min or 2022-09-08T01:00",
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explain the logs; 4 if something is wrong."""
    files = args.files or ["-"]
    return _print_symptoms(files, args.since) if args.json else _print_story(files, args.since)


def since_ns(text: str) -> int:
    """A moment as nanoseconds since the epoch: so long ago, or a date and time (local without a zone)."""
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return time.time_ns() - int(relative[1]) * _UNITS_S[relative[2]] * SECOND_NS
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return int(moment.timestamp()) * SECOND_NS
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is neither 2h nor 2022-09-08T01:00") from error


def _print_story(files: Sequence[str], since: Optional[int]) -> int:
    from watchdog.cli.story_text import story_lines
    from watchdog.cli.text import style_for

    told, lines, remarks = _tell(files, since)
    print("\n".join(story_lines(told, remarks, lines, style_for(sys.stdout))))
    return ExitCode.HANG if told.incidents else ExitCode.OK


def _tell(files: Sequence[str], since: Optional[int]) -> Tuple[Told, int, List[str]]:
    """The story, how many lines were read, and what there is to say about the logs themselves."""
    from watchdog.cli.log_input import opened
    from watchdog.cli.log_lines import LogLines
    from watchdog.core.story import Story
    from watchdog.core.symptom import SymptomKind

    story, total, remarks, last_ns = Story(), 0, [], None
    for path in files:
        with opened(path) as log:
            lines = LogLines(log, since, first_number=total + 1)
            for said in lines:
                if said.symptom.kind is not SymptomKind.NONE or said.symptom.detail:
                    story.add(said.number, said.text, said.symptom)
        total += lines.lines
        last_ns = lines.last_ns or last_ns
        remarks += _remarks(path, lines)
    return story.told(last_ns), total, remarks


def _remarks(path: str, lines: LogLines) -> List[str]:
    from watchdog.cli.log_input import looks_like_text

    name = "standard input" if path == "-" else path
    if not lines.lines:
        return [f"{name} is empty."]
    remarks = []
    if not looks_like_text(lines.first_block):
        remarks.append(f"{name} does not look like a text log.")
    ahead_ns = (lines.last_ns or 0) - time.time_ns()
    if ahead_ns > DAY_NS:
        remarks.append(
            f"{name} ends {ahead_ns // DAY_NS} days in the future: its clock, or this one, is wrong."
        )
    return remarks


def _print_symptoms(files: Sequence[str], since: Optional[int]) -> int:
    """One JSON object a line of the logs, in their order."""
    from watchdog.cli.log_input import opened
    from watchdog.cli.log_lines import LogLines
    from watchdog.core.symptom import SymptomKind

    found = False
    out = sys.stdout.buffer
    for path in files:
        with opened(path) as log:
            lines = LogLines(log, since)
            for said in lines:
                found = found or said.symptom.kind is not SymptomKind.NONE
                out.write(_SAYS_NOTHING * said.skipped)
                out.write(_as_json(said.symptom))
            out.write(_SAYS_NOTHING * lines.skipped_at_end)
    out.flush()
    return ExitCode.HANG if found else ExitCode.OK


def _as_json(symptom: Symptom) -> bytes:
    """The symptom with those of its fields that the line has."""
    from watchdog.cli.story_text import utc_or_none

    record = {name: value for name, value in asdict(symptom).items() if value not in (None, "")}
    record["symptom"] = record.pop("kind").value
    moment = utc_or_none(symptom.wall_ns)
    if moment:
        record["time"] = moment
    ordered = {"symptom": record.pop("symptom"), **record}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
