"""`pull-watchdog replay FILE`: what the agent makes of a recording.

The same code judges a recording and a live host, and nothing else goes in, so
the same recording always tells the same story, on any machine.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any, Dict, List

from watchdog.cli.codes import ExitCode
from watchdog.cli.text import clean, wrapped
from watchdog.core.tick import Decision, Tick


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("replay", help="what the agent makes of a recording")
    parser.add_argument("file", type=Path, metavar="FILE", help="as `run --record` or an incident left it")
    parser.add_argument("--json", action="store_true", help="print every tick as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the story; a damaged recording is told up to the damage."""
    from watchdog.core.engine import Engine
    from watchdog.sense.recording import read_frames

    engine, story = Engine(), Story()
    for frame in read_frames(args.file):
        tick = engine.step(frame)
        for line in [tick.to_json()] if args.json else story.lines(tick):
            print(line)
    if not args.json:
        print("\n".join(story.end()))
    return ExitCode.OK


class Story:
    """What is worth telling of a row of ticks: each thing when it changes."""

    def __init__(self) -> None:
        self._begun_ns = -1
        self._now_ns = 0
        self._ticks = 0
        self._told: Dict[str, str] = {}
        self._incidents: Dict[str, Dict[str, Any]] = {}

    def lines(self, tick: Tick) -> List[str]:
        """What is new in this tick."""
        if self._begun_ns < 0:
            self._begun_ns = tick.now_ns
        self._now_ns = tick.now_ns
        self._ticks += 1
        self._incidents.update({record["id"]: record for record in tick.incidents})
        told = [f"{one.incident} {one.new.replace('_', ' ')}: {one.reason}" for one in tick.transitions]
        told += [_decision(one) for one in tick.decisions if self._is_new(one.incident, _decision(one))]
        if not told and self._is_new("sentence", tick.sentence):
            told = [tick.sentence]
        at = f"+{(tick.now_ns - self._begun_ns) / 1e9:.1f} s"
        return [line for n, text in enumerate(told) for line in wrapped(at if n == 0 else "", text, 0, 11)]

    def end(self) -> List[str]:
        """How it ended."""
        length = (self._now_ns - max(self._begun_ns, 0)) / 1e9
        lines = ["", f"{self._ticks} ticks, {length:.1f} s, {len(self._incidents)} incident(s)"]
        for one in self._incidents.values():
            image = f", {one['image']}" if one["image"] else ""
            lines.append(clean(f"  {one['id']} {one['cause']} {one['state'].replace('_', ' ')}{image}"))
        return lines

    def _is_new(self, topic: str, text: str) -> bool:
        shape = re.sub(r"\d+", "#", text)
        known, self._told[topic] = self._told.get(topic), shape
        return known != shape


def _decision(one: Decision) -> str:
    remedy = f" {one.remedy}" if one.remedy else ""
    return f"{one.incident} {one.call.value.replace('_', ' ')}{remedy}: {one.reason}"
