"""What Prometheus gets to see.

Law: every label value comes from a closed set (causes, remedies, sensors), never
from an image or a process, so the number of series is bounded.  A scrape reads
what the last tick left and touches neither the machine nor the agent's loop.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Optional, Set, Tuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from watchdog import __version__
from watchdog.core.causes.finding import Cause
from watchdog.core.incident import OPEN, State, Verdict
from watchdog.core.observation import Outcome
from watchdog.core.policy import SECOND_NS, Mode, Policy, Remedy
from watchdog.core.tick import Call, Tick
from watchdog.report.vitals import Vitals

PREFIX = "pull_watchdog_"

_Labels = Tuple[str, ...]


class Metrics:
    """Counts what ticks say.  `observe` and a scrape may run on different threads."""

    def __init__(self, policy: Policy, wall_s: Callable[[], float] = time.time) -> None:
        self._policy = policy
        self._wall_s = wall_s
        self._incidents: Counter[_Labels] = Counter({(one.value,): 0 for one in Cause})
        self._actions: Counter[_Labels] = Counter(
            {(remedy.value, outcome.value): 0 for remedy in Remedy for outcome in Outcome}
        )
        self._decisions: Counter[_Labels] = Counter(
            {(remedy.value, call.value): 0 for remedy in Remedy for call in (Call.ACT, Call.WOULD_ACT)}
        )
        self._verifications: Counter[_Labels] = Counter({(one.value,): 0 for one in Verdict})
        self._decided: Dict[Tuple[str, Optional[str]], _Labels] = {}
        self._counted_actions: Set[str] = set()
        self._ticks = 0
        self._tick_ns_sum = 0
        self._seen: Optional[Tuple[Tick, Vitals]] = None
        self._seen_wall_s = 0.0
        self._lock = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)  # type: ignore[arg-type]  # only `collect` is asked of it

    def observe(self, tick: Tick, vitals: Vitals) -> None:
        """Take in a tick.  A scrape makes its families of it; most ticks are never scraped."""
        with self._lock:
            self._count(tick)
            self._ticks += 1
            self._tick_ns_sum += vitals.tick_ns
            self._seen, self._seen_wall_s = (tick, vitals), self._wall_s()

    def collect(self) -> Iterable[Metric]:
        """The families, as prometheus_client asks for them."""
        with self._lock:
            return tuple(self._families(*self._seen)) if self._seen else ()

    def exposition(self) -> bytes:
        """The text that a scrape gets (format 0.0.4)."""
        text: bytes = generate_latest(self._registry)
        return text

    # --- counting ----------------------------------------------------------------

    def _count(self, tick: Tick) -> None:
        causes = {record["id"]: record["cause"] for record in tick.incidents}
        for transition in tick.transitions:
            if transition.old is None:
                self._incidents[(causes.get(transition.incident, "unknown"),)] += 1
        for _, verdict in tick.verdicts:
            self._verifications[(verdict,)] += 1
        self._count_decisions(tick)
        self._count_actions(tick)

    def _count_decisions(self, tick: Tick) -> None:
        """A decision counts when it is new for its incident, not at every tick at which it stands."""
        decided: Dict[Tuple[str, Optional[str]], _Labels] = {
            (one.incident, one.undo): (one.remedy or "none", one.call.value) for one in tick.decisions
        }
        for topic, decision in decided.items():
            if self._decided.get(topic) != decision:
                self._decisions[decision] += 1
        self._decided = decided

    def _count_actions(self, tick: Tick) -> None:
        """An action counts once, when its outcome is known; those of an earlier agent do not."""
        ended = {
            action["id"]: (action["name"], action["outcome"])
            for record in tick.incidents
            for action in record["actions"]
            if action["outcome"] is not None
        }
        for name, labels in ended.items():
            if name not in self._counted_actions and self._ticks:
                self._actions[labels] += 1
        self._counted_actions = set(ended)

    # --- the families --------------------------------------------------------------

    def _families(self, tick: Tick, vitals: Vitals) -> Iterator[Metric]:
        yield from self._of_agent(vitals)
        yield from self._of_host(tick)
        yield from self._of_incidents(tick)
        yield from self._of_actions(tick, vitals)

    def _of_agent(self, vitals: Vitals) -> Iterator[Metric]:
        yield InfoMetricFamily(f"{PREFIX}build", "The version of the agent.", {"version": __version__})
        yield InfoMetricFamily(
            f"{PREFIX}engine", "Where kernel events come from.", {"engine": vitals.engine or "none"}
        )
        modes = {(mode.value,): mode is self._policy.mode for mode in Mode}
        yield _gauge("mode", "1 for the mode that is in force.", ["mode"], modes)
        yield _gauge(
            "config_last_reload_successful",
            "1 while the configuration that was read last is in force.",
            [],
            {(): not vitals.reload_problem},
        )
        yield _counter(
            "kernel_events_lost",
            "Kernel events that did not fit into the buffer; each loss is healed by a look at /proc.",
            [],
            {(): vitals.kernel_events_lost},
        )
        dropped = {(queue,): count for queue, count in vitals.dropped}
        yield _counter("dropped", "Entries that a full queue of the agent did not take.", ["queue"], dropped)
        duration = SummaryMetricFamily(f"{PREFIX}tick_duration_seconds", "How long the agent's ticks took.")
        duration.add_metric([], count_value=self._ticks, sum_value=self._tick_ns_sum / SECOND_NS)
        yield duration
        last = {(): self._seen_wall_s}
        yield _gauge(
            "last_tick_timestamp_seconds", "When the last tick ended; silence means a stuck agent.", [], last
        )

    def _of_host(self, tick: Tick) -> Iterator[Metric]:
        sensors = {(one.sensor,): one.up for one in tick.sensors}
        yield _gauge("sensor_up", "1 while the sensor sees what it should.", ["sensor"], sensors)
        yield _gauge("pulls_active", "Clients that are pulling an image.", [], {(): len(tick.pulls)})
        yield from _of_downloads(tick)
        still: Dict[_Labels, float] = {("decompressor",): 0.0, ("untar",): 0.0}
        for stage in tick.stages:
            seconds = stage.still_samples * self._policy.tick_ns / SECOND_NS
            still[(stage.role,)] = max(still.get((stage.role,), 0.0), seconds)
        yield _gauge(
            "extraction_still_seconds",
            "For how long the stillest stage of an extraction has not moved a byte.",
            ["role"],
            still,
        )

    def _of_incidents(self, tick: Tick) -> Iterator[Metric]:
        open_states = [state for state in State if state in OPEN]
        now: Counter[_Labels] = Counter(
            {(cause.value, state.value): 0 for cause in Cause for state in open_states}
        )
        now.update((one["cause"], one["state"]) for one in tick.incidents if State(one["state"]) in OPEN)
        yield _gauge("incidents", "Open incidents.", ["cause", "state"], now)
        yield _counter("incidents", "Incidents that were opened.", ["cause"], self._incidents)
        given_up = sum(count for (_, state), count in now.items() if state == State.GAVE_UP.value)
        yield _gauge(
            "gave_up",
            "Incidents that are left to a person: `pull-watchdog ack` starts anew.",
            [],
            {(): given_up},
        )
        yield _counter("verifications", "What was seen after actions.", ["result"], self._verifications)

    def _of_actions(self, tick: Tick, vitals: Vitals) -> Iterator[Metric]:
        yield _counter("actions", "Actions that ended.", ["remedy", "outcome"], self._actions)
        yield _counter(
            "decisions", "Decisions, counted when they change.", ["remedy", "verdict"], self._decisions
        )
        left = {(remedy, cause): remaining for remedy, cause, remaining in tick.budgets}
        yield _gauge("budget_remaining", "Uses left before giving up.", ["remedy", "cause"], left)
        stopped = {("pause",): bool(tick.paused), ("inhibit",): bool(tick.inhibited)}
        yield _gauge("inhibited", "1 while a person has stopped all action.", ["reason"], stopped)
        in_flight = {(): bool(vitals.action_in_flight)}
        yield _gauge("action_in_flight", "1 while an action runs.", [], in_flight)
        usable = {(): vitals.ledger_usable}
        yield _gauge(
            "ledger_usable", "1 while the ledger can be used; without it nothing is done.", [], usable
        )


def _of_downloads(tick: Tick) -> Iterator[Metric]:
    """How far the pulls are, over all runtimes; an image's name would be a series without end."""
    far = {(one.runtime, one.client): one.estimate for one in tick.pulls if one.estimate}.values()
    done, rate = sum(one.done_bytes for one in far), sum(one.bytes_per_second for one in far)
    left = max((one.seconds_left for one in far if one.seconds_left is not None), default=0)
    yield _gauge("download_bytes", "Bytes of layers that have come, of the pulls under way.", [], {(): done})
    yield _gauge("download_bytes_per_second", "At what rate layers come.", [], {(): rate})
    yield _gauge(
        "download_seconds_left", "Until the last of the layers is there; 0: not known.", [], {(): left}
    )


def _gauge(name: str, text: str, labels: Iterable[str], values: Mapping[Any, float]) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, text, labels=list(labels)), values)


def _counter(name: str, text: str, labels: Iterable[str], values: Mapping[Any, float]) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, text, labels=list(labels)), values)


def _filled(family: Any, values: Mapping[Any, float]) -> Metric:
    for labels, value in values.items():
        family.add_metric(list(labels), float(value))
    filled: Metric = family
    return filled
