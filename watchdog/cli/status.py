"""`pull-watchdog status`: what is going on, on one screen.

Reads RUN_DIR/state.json and /proc/PID/stat and nothing else, so it answers at
once when the agent, the runtime or a disk hangs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Dict, List, Optional

from watchdog.cli.codes import ExitCode
from watchdog.cli.options import add_config, add_json, config_of
from watchdog.cli.statefile import NotRunning, Seen, read_state
from watchdog.cli.text import ago, clean, clock, duration, moment, size, style_for, wrapped

OPEN = ("confirmed", "acting", "verifying", "gave_up")
_LATELY_SHOWN = 3


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("status", help="what is going on: pulls, hangs, what is done about them")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the state; the exit status says whether the agent runs and whether a pull hangs."""
    try:
        seen = read_state(config_of(args).run_dir)
    except NotRunning as error:
        print(
            json.dumps({"running": False}) if args.json else error,
            file=sys.stdout if args.json else sys.stderr,
        )
        return ExitCode.NOT_RUNNING
    if args.json:
        more = {"running": seen.running, "stale": seen.stale, "age_seconds": round(seen.age_s, 3)}
        print(json.dumps({**seen.state, **more}, indent=1))
    else:
        print("\n".join(Screen(seen).lines()))
    return _status(seen)


def _status(seen: Seen) -> ExitCode:
    if not seen.running:
        return ExitCode.NOT_RUNNING
    if _open(seen.state):
        return ExitCode.HANG
    return ExitCode.INTERNAL if seen.stale else ExitCode.OK


def _open(state: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [one for one in state["incidents"] if one["state"] in OPEN]


class Screen:
    """The state for a person, section by section; a section without news is left out."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._state = seen.state
        self._style = style_for(sys.stdout)

    def lines(self) -> List[str]:
        """The whole screen."""
        sections = [self._head(), *map(self._incident, _open(self._state))]
        sections += [self._pulls(), self._stages(), self._sight(), self._lately()]
        lines: List[str] = []
        for section in filter(None, sections):
            lines += [*section, ""]
        return lines[:-1]

    def _head(self) -> List[str]:
        state, style = self._state, self._style
        up = duration(_since(state["started_at"], state["updated_at"]))
        title = style(f"pull-watchdog {state['version']}", "bold") + f", {state['mode']} mode, up {up}"
        lines = [title, *self._truth()]
        colour = "red" if _open(state) else "green"
        lines += [style(line, colour) for line in wrapped("", state["sentence"], 0, 0)]
        for what in ("paused", "inhibited"):
            if state[what]:
                lines.append(style(f"All action is {what}: {clean(state[what])}", "yellow"))
        if not state["ledger_usable"]:
            lines.append(style("The ledger cannot be used, so nothing is done: see `doctor`", "yellow"))
        return lines

    def _truth(self) -> List[str]:
        """How far what follows can be believed."""
        seen, age = self._seen, duration(self._seen.age_s)
        if not seen.running:
            text = f"NOT RUNNING: process {self._state['pid']} is gone; this is what it last saw, {age} ago."
        elif seen.stale:
            text = f"STALE: the agent (process {self._state['pid']}) lives, but has said nothing for {age}."
        else:
            return []
        return [self._style(line, "yellow", "bold") for line in wrapped("", text, 0, 0)]

    def _incident(self, record: Dict[str, Any]) -> List[str]:
        culprit = record["culprit"]
        head = f"Incident {record['id']}: {record['cause']}, {record['state'].replace('_', ' ')}"
        lines = [self._style(clean(head), "bold") + f" (since {duration(_age_s(record['opened_at']))})"]
        images = record["images"] if record["image"] is None else [record["image"]]
        label = "image" if record["image"] or not images else "one of"
        lines += wrapped(label, ", ".join(images) or "not known")
        lines += wrapped(
            "culprit", f"{culprit['comm']}, pid {culprit['pid']}, {culprit['exe'] or 'file unknown'}"
        )
        for n, one in enumerate(record["evidence"]):
            lines += wrapped("evidence" if n == 0 else "", one["text"])
        if record["cost"]["pulls"]:
            lines += wrapped("cost", record["cost"]["text"])
        for n, one in enumerate(record["actions"]):
            lines += wrapped("done" if n == 0 else "", _action(one))
        if record["verification"]:
            lines += wrapped("checked", record["verification"].replace("_", " "))
        lines += wrapped("next", record["next"] or "nothing")
        if record["state"] == "gave_up":
            lines += wrapped("you can", f"put it right, then: pull-watchdog ack {record['id']}")
        return lines

    def _pulls(self) -> List[str]:
        pulls = self._state["pulls"]
        if not pulls:
            return []
        lines = [self._style("Pulls", "bold")]
        for one in pulls:
            client = f"pid {one['client']['pid']}" if one["client"] else "no client seen"
            away = {True: "", False: ", its client is gone"}.get(one["connected"], "")
            lines += wrapped("", f"{one['image'] or 'image not known'}  ({client}{away})", 2, 2)
            if one["note"]:
                lines += [self._style(line, "dim") for line in wrapped("", one["note"], 4, 4)]
        return lines

    def _stages(self) -> List[str]:
        stages = self._state["stages"]
        if not stages:
            return []
        head = f"{'Extraction':<34}{'state':<9}{'read':>9}{'written':>9}{'still for':>15}"
        return [self._style(head, "bold"), *map(self._stage, stages)]

    def _stage(self, one: Dict[str, Any]) -> str:
        name = clean(f"{one['role']} {one['comm']} {one['pid']}")
        still = one["still_samples"]
        row = (
            f"  {name:<32.32}{one['states']:<9.8}{size(one['read_bytes']):>9}{size(one['written_bytes']):>9}"
        )
        return row + self._style(f"{_samples(still):>15}", *(("yellow",) if still else ()))

    def _sight(self) -> List[str]:
        state = self._state
        lines = [self._style("Sight", "bold")]
        for one in state["runtimes"]:
            lines += wrapped(one["runtime"], _runtime(one), column=17)
        lost = f", {state['kernel_events_lost']} lost" if state["kernel_events_lost"] else ""
        lines += wrapped("kernel events", f"by {state['engine'] or 'nothing'}{lost}", column=17)
        for one in state["sensors"]:
            if not one["up"]:
                lines += [self._style(line, "yellow") for line in wrapped("blind", _blind(one), column=17)]
        for one in state["budgets"]:
            if one["remaining"] == 0:
                lines += wrapped("budget spent", f"{one['remedy']} for {one['cause']}", column=17)
        if state["metrics"]:
            lines += wrapped("metrics", f"http://{state['metrics']}/metrics", column=17)
        return lines

    def _lately(self) -> List[str]:
        ended = [one for one in self._state["incidents"] if one["state"] not in OPEN]
        if not ended:
            return []
        lines = [self._style("Lately", "bold")]
        for one in ended[: -_LATELY_SHOWN - 1 : -1]:
            image = f" of {one['image']}" if one["image"] else ""
            lines += wrapped(one["state"], f"{one['id']} {one['cause']}{image}, {ago(one['resolved_at'])}")
        return lines


def _since(start: str, end: str) -> float:
    first, last = moment(start), moment(end)
    return last - first if first is not None and last is not None else 0.0


def _age_s(start: Optional[str]) -> float:
    first = moment(start)
    return time.time() - first if first is not None else 0.0


def _action(one: Dict[str, Any]) -> str:
    outcome = one["outcome"] or "under way"
    detail = f": {one['detail']}" if one["detail"] else ""
    return f"{clock(one['started_at'])} {one['name']} {outcome}{detail}"


def _samples(count: int) -> str:
    return "moving" if count == 0 else "1 sample" if count == 1 else f"{count} samples"


def _runtime(one: Dict[str, Any]) -> str:
    pid = f", pid {one['process']['pid']}" if one["process"] else ""
    version = f", version {one['version']}" if one["version"] else ""
    detail = f", {one['detail']}" if one["detail"] else ""
    sight = "" if one["sight"] == "full" else f", sight: {one['sight'].replace('_', ' ')}"
    return f"{one['api']}{version}{pid}{sight}{detail}"


def _blind(one: Dict[str, Any]) -> str:
    return f"{one['sensor']}: {one['detail']}" if one["detail"] else str(one["sensor"])
