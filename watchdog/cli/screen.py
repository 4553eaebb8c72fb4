"""The agent's state for a person: first what matters, then what it rests on."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional

from watchdog.cli import paragraphs
from watchdog.cli.statefile import Seen
from watchdog.cli.text import Style, ago, clean, duration, moment, size, wrapped
from watchdog.core.incident import OPEN, State

_OPEN = {state.value for state in OPEN}
_LATELY_SHOWN = 3
_LOG = "log."  # what a log's sensor is named with
_COLUMN = 17


def open_incidents(state: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The records to which something may still happen."""
    return [one for one in state["incidents"] if one["state"] in _OPEN]


class Screen:
    """A section without news is left out."""

    def __init__(self, seen: Seen, style: Style) -> None:
        self._seen = seen
        self._state = seen.state
        self._style = style

    def lines(self) -> List[str]:
        """The whole screen."""
        sections = [self._head(), *map(self._incident, open_incidents(self._state))]
        sections += [self._pulls(), self._stages(), self._sight(), self._lately()]
        lines: List[str] = []
        for section in filter(None, sections):
            lines += [*section, ""]
        return lines[:-1]

    def _head(self) -> List[str]:
        state, style = self._state, self._style
        up = duration(_since(state["started_at"], None if self._seen.running else state["updated_at"]))
        lines = [style(f"pull-watchdog {state['version']}", "bold") + f", {state['mode']} mode, up {up}"]
        lines += self._coloured(["yellow", "bold"], self._truth())
        lines += self._coloured(["red" if open_incidents(state) else "green"], state["sentence"])
        if state["reload_problem"]:
            lines += self._coloured(
                ["yellow", "bold"], f"Configuration not reloaded: {state['reload_problem']}"
            )
        for what in ("paused", "inhibited"):
            if state[what]:
                lines += self._coloured(["yellow"], f"All action is {what}: {state[what]}")
        if not state["ledger_usable"]:
            lines += self._coloured(["yellow"], "The ledger cannot be used, so nothing is done: see `doctor`")
        return lines

    def _truth(self) -> str:
        """How far what follows can be believed; "" when it can."""
        age, pid = duration(self._seen.age_s), self._state["pid"]
        if not self._seen.running:
            return f"NOT RUNNING: process {pid} is gone; this is what it last saw, {age} ago."
        if self._seen.stale:
            return f"STALE: the agent (process {pid}) lives, but has said nothing for {age}."
        return ""

    def _incident(self, record: Dict[str, Any]) -> List[str]:
        head = f"Incident {record['id']}: {record['cause']}, {record['state'].replace('_', ' ')}"
        lines = [self._style(clean(head), "bold") + f" (since {duration(_since(record['opened_at']))})"]
        lines += [line for tell in paragraphs.ALL for line in tell(record)]
        if record["state"] == State.GAVE_UP.value:
            lines += wrapped("you can", f"put it right, then: pull-watchdog ack {record['id']}")
        return lines

    def _pulls(self) -> List[str]:
        pulls = self._state["pulls"]
        lines = [self._style("Pulls", "bold")] if pulls else []
        for one in pulls:
            client = f"pid {one['client']['pid']}" if one["client"] else "no client seen"
            away = ", its client is gone" if one["connected"] is False else ""
            lines += wrapped("", f"{one['image'] or 'image not known'}  ({client}{away})", 2, 2)
            lines += self._coloured(["dim"], paragraphs.progress(one["estimate"]), 4)
            lines += self._coloured(["dim"], one["note"], 4)
        return lines

    def _stages(self) -> List[str]:
        stages = self._state["stages"]
        head = f"{'Extraction':<34}{'state':<9}{'read':>9}{'written':>9}{'still for':>15}"
        return [self._style(head, "bold"), *map(self._stage, stages)] if stages else []

    def _stage(self, one: Dict[str, Any]) -> str:
        name = clean(f"{one['role']} {one['comm']} {one['pid']}")
        row = f"  {name:<32.32}{clean(one['states']):<9.8}"
        row += f"{size(one['read_bytes']):>9}{size(one['written_bytes']):>9}"
        still = f"{_samples(one['still_samples']):>15}"
        return row + (self._style(still, "yellow") if one["still_samples"] else still)

    def _sight(self) -> List[str]:
        state = self._state
        lines = [self._style("Sight", "bold")]
        for one in state["runtimes"]:
            lines += wrapped(one["runtime"], _runtime(one), column=_COLUMN)
        lost = f", {state['kernel_events_lost']} lost" if state["kernel_events_lost"] else ""
        lines += wrapped("kernel events", f"by {state['engine'] or 'nothing'}{lost}", column=_COLUMN)
        followed = [one["sensor"][len(_LOG) :] for one in state["sensors"] if _is_followed(one)]
        lines += wrapped("logs", ", ".join(followed), column=_COLUMN) if followed else []
        for one in state["sensors"]:
            if not one["up"]:
                detail = f": {one['detail']}" if one["detail"] else ""
                blind = wrapped("blind", f"{one['sensor']}{detail}", column=_COLUMN)
                lines += [self._style(line, "yellow") for line in blind]
        for one in state["budgets"]:
            if one["remaining"] == 0:
                lines += wrapped("budget spent", f"{one['remedy']} for {one['cause']}", column=_COLUMN)
        if state["metrics"]:
            lines += wrapped("metrics", f"http://{state['metrics']}/metrics", column=_COLUMN)
        return lines

    def _lately(self) -> List[str]:
        ended = [one for one in self._state["incidents"] if one["state"] not in _OPEN]
        lines = [self._style("Lately", "bold")] if ended else []
        for one in reversed(ended[-_LATELY_SHOWN:]):
            image = f" of {one['image']}" if one["image"] else ""
            lines += wrapped(one["state"], f"{one['id']} {one['cause']}{image}, {ago(one['resolved_at'])}")
        return lines

    def _coloured(self, colours: List[str], text: str, indent: int = 0) -> List[str]:
        lines = wrapped("", text, indent, indent) if text else []
        return [self._style(line, *colours) for line in lines]


def _is_followed(sensor: Mapping[str, Any]) -> bool:
    return bool(
        sensor["up"] and sensor["sensor"].startswith(_LOG) and not sensor["sensor"].endswith("_thread")
    )


def _since(start: Optional[str], end: Optional[str] = None) -> float:
    """Seconds from one time to another, or until now."""
    first, last = moment(start), moment(end)
    return (time.time() if last is None else last) - (first or 0.0)


def _samples(count: int) -> str:
    return "moving" if count == 0 else "1 sample" if count == 1 else f"{count} samples"


def _runtime(one: Dict[str, Any]) -> str:
    pid = f", pid {one['process']['pid']}" if one["process"] else ""
    version = f", version {one['version']}" if one["version"] else ""
    sight = "" if one["sight"] in ("full", "unknown") else f", sight: {one['sight'].replace('_', ' ')}"
    detail = f", {one['detail']}" if one["detail"] else ""
    return f"{one['api']}{version}{pid}{sight}{detail}"
