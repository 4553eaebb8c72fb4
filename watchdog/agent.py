"""The agent: look, judge, tell, act; once a tick, until it is told to stop.

The only module that knows every stage.  Law: nothing here waits for anything
but the clock: sensors, the disk and remedies have threads or processes of
their own, and what they bring is taken when it is there.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import time
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

from watchdog.act.executor import Executor
from watchdog.act.ledger import Ledger
from watchdog.config import Config, load
from watchdog.core.engine import Engine
from watchdog.core.observation import (
    Frame,
    IncidentRemembered,
    LedgerSeen,
    MachineSeen,
    Observation,
    PolicySeen,
)
from watchdog.core.tick import Call, Tick
from watchdog.errors import ConfigError, Unavailable, WatchdogError
from watchdog.host import capabilities
from watchdog.host.deadline import within
from watchdog.host.signals import STOP, Signals
from watchdog.report.incidents import merged, read_records
from watchdog.report.reports import Reports
from watchdog.report.vitals import Vitals
from watchdog.sense.pacing import Inbox, PacedSensor
from watchdog.sense.senses import Senses

LEDGER_PERIOD_NS = 500_000_000
SENSE_WITHIN_S = 0.4  # how long a tick waits for the samples that it asked for
DISK_WITHIN_S = 2.0
SPACING_S = 0.2  # between two ticks, whatever happens


def main(config: Config, record: Optional[Path] = None) -> int:
    """Run until SIGTERM or SIGINT, and with a new configuration after each SIGHUP; the exit status."""
    require_sight()
    lock = _only_agent(config.run_dir)
    signals = Signals()
    try:
        agent = Agent(config, signals, record)
        while True:
            successor = agent.serve()
            if successor is None:
                return 0
            agent = _succeed(config, successor, signals)
            config = agent.config
    finally:
        os.close(lock)


def require_sight() -> None:
    """Raises PermissionError where the runtime's processes cannot be looked into at all."""
    if os.geteuid() != 0 and not capabilities.has(
        capabilities.effective(), capabilities.SYS_PTRACE, capabilities.DAC_READ_SEARCH
    ):
        raise PermissionError(
            "pull-watchdog run must be root, or have CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH as in its unit: "
            "the runtime's processes cannot be seen otherwise"
        )


def _succeed(old: Config, new: Config, signals: Signals) -> Agent:
    """An agent with the new configuration, or with the old one where that cannot work."""
    try:
        return Agent(new, signals)
    except WatchdogError as error:
        return Agent(old, signals, reload_problem=f"{error}; the old configuration stays in force")


class Agent:
    """One run of the agent with one configuration.

    `reload_problem`: why another one could not be taken, or "".
    """

    def __init__(
        self, config: Config, signals: Signals, record: Optional[Path] = None, reload_problem: str = ""
    ) -> None:
        self.config = config
        self._records = record is not None
        self._reload_problem = reload_problem
        self._engine = Engine()
        self._inbox = Inbox()
        self._reports = Reports(config, record)
        self._senses = Senses(config, self._inbox, self._cursor_of)
        self._executor = Executor(config)
        self._ledger = Ledger(config.state_dir)
        self._ledger_seen: Optional[LedgerSeen] = None
        self._ledger_sensor = PacedSensor("ledger", self._look_at_ledger, self._inbox, LEDGER_PERIOD_NS)
        self._selector = selectors.DefaultSelector()
        self._signals = signals
        self._selector.register(signals, selectors.EVENT_READ)
        self._last_tick_ns = 0
        self._configured_ns = time.monotonic_ns()

    def serve(self) -> Optional[Config]:
        """Tick until a signal comes: None to stop, or the configuration of who is to follow."""
        successor: Optional[Config] = None
        try:
            successor = self._run()
        finally:
            self._close(for_good=successor is None)
        return successor

    def _run(self) -> Optional[Config]:
        self._inbox.put(self._beginning())
        tick = self._tick()
        self._reports.ready()
        self._tell_reload_problem()
        to_reload = False
        while True:
            came = self._wait(tick)
            if came & STOP:
                return None
            to_reload |= signal.SIGHUP in came
            # What an action does is known to the agent that started it.
            if to_reload and not self._executor.in_flight:
                successor, to_reload = self._reread(), False
                if successor is not None:
                    return successor
            tick = self._tick()

    def _close(self, for_good: bool) -> None:
        """End in good order.  A remedy that is under way goes on by itself."""
        self._reports.cursors.keep(self._senses.cursors(), at_once=True)
        self._senses.close()
        self._ledger_sensor.close()
        self._executor.close()
        self._reports.close(for_good)
        self._selector.close()

    # --- another configuration ----------------------------------------------------

    def _reread(self) -> Optional[Config]:
        """The configuration as it is now; None, and the reason told, where it cannot be taken."""
        self._configured_ns = time.monotonic_ns()
        try:
            new = load(self.config.path)
            self._check_successor(new)
            return new
        except WatchdogError as error:
            self._reload_problem = f"{error}; the old configuration stays in force"
            self._tell_reload_problem()
            return None

    def _check_successor(self, new: Config) -> None:
        if self._records:
            raise ConfigError("a recording is being written, and holds one configuration: restart instead")
        if (new.run_dir, new.state_dir) != (self.config.run_dir, self.config.state_dir):
            raise ConfigError("run_dir and state_dir are taken at the start: restart instead")

    def _tell_reload_problem(self) -> None:
        if self._reload_problem:
            self._reports.log.say("configuration not reloaded", "error", detail=self._reload_problem)

    # --- one tick ---------------------------------------------------------------

    def _tick(self) -> Tick:
        began_ns = time.monotonic_ns()
        self._ledger_sensor.ask(began_ns)
        self._senses.look(began_ns, SENSE_WITHIN_S)
        self._ledger_sensor.wait(0.05)
        frame = Frame(
            time.monotonic_ns(),
            (_machine(), *self._executor.observe(), *self._inbox.take()),
        )
        tick = self._engine.step(frame)
        self._senses.attend(tick)
        self._reports.observe(frame, tick, self._vitals())
        self._reports.cursors.keep(self._senses.cursors())
        self._act(tick)
        self._last_tick_ns = time.monotonic_ns() - began_ns
        return tick

    def _act(self, tick: Tick) -> None:
        """Start what was decided.  The records that a remedy reads have just been written."""
        for decision in tick.decisions:
            if decision.call is not Call.ACT or decision.remedy is None:
                continue
            if decision.undo is not None:
                self._executor.undo(decision.undo, decision.remedy, decision.incident)
            else:
                self._executor.start(decision.remedy, decision.incident)

    def _vitals(self) -> Vitals:
        engine = self._senses.engine
        return Vitals(
            engine=engine.engine.name,
            engine_attempts=tuple((one.name, one.reason) for one in engine.attempts),
            kernel_events_lost=self._senses.events_lost,
            tick_ns=self._last_tick_ns,
            action_in_flight=self._executor.in_flight,
            ledger_usable=self._ledger_seen is not None and self._ledger_seen.usable,
            metrics_address=self._reports.metrics_address,
            dropped=(*self._reports.dropped(), ("inbox", self._inbox.dropped)),
            configured_ns=self._configured_ns,
            reload_problem=self._reload_problem,
        )

    # --- between ticks --------------------------------------------------------------

    def _wait(self, tick: Tick) -> Set[int]:
        """Wait for the next tick; the signals that have come.

        While nothing goes on a kernel event or the end of an action ends the
        wait early; otherwise events lie in their buffer until the next tick.
        """
        policy = self.config.policy
        quick = tick.active or bool(self._executor.in_flight)
        length_ns = (policy.tick_ns if quick else self._idle_ns()) - self._last_tick_ns
        ends_at = time.monotonic() + max(SPACING_S, length_ns / 1e9)
        woken_by = [self._executor.fileno()] + ([] if quick else [self._senses.fileno()])
        watched = [number for number in woken_by if number is not None]
        for number in watched:
            self._selector.register(number, selectors.EVENT_READ)
        try:
            ready = self._selector.select(max(0.0, ends_at - time.monotonic()))
        finally:
            for number in watched:
                self._selector.unregister(number)
        came = self._signals.take()
        if ready and not came:
            time.sleep(SPACING_S)
        return came

    def _idle_ns(self) -> int:
        """Between two ticks while nothing goes on; twice as often where nothing would wake us."""
        idle_ns = self.config.policy.idle_tick_ns
        return idle_ns if self._senses.fileno() is not None else idle_ns // 2

    # --- what only the agent can see ----------------------------------------------------

    def _beginning(self) -> List[Observation]:
        """What a recording starts with, and what an agent that ran before left."""
        records = self._remembered()
        self._reports.adopt(records)
        seen: List[Observation] = [PolicySeen(self.config.policy.to_json())]
        seen += [IncidentRemembered(json.dumps(record, sort_keys=True)) for record in records]
        return seen

    def _remembered(self) -> List[Dict[str, Any]]:
        """The records of earlier agents.  A disk that does not answer costs those that are only there."""
        in_memory, _ = read_records(self.config.run_dir / "incidents")
        try:
            directory = self.config.state_dir / "incidents"
            on_disk, _ = within(DISK_WITHIN_S, str(directory), lambda: read_records(directory))
        except WatchdogError as error:
            self._reports.log.say("incidents cannot be read", "warning", detail=str(error))
            on_disk = []
        return merged(on_disk, in_memory)

    def _cursor_of(self, runtime: str) -> str:
        """Where that runtime's log was read to before; "" where the disk does not say in time."""
        try:
            return within(DISK_WITHIN_S, "the log's cursor", lambda: self._reports.cursors.load(runtime))
        except WatchdogError:
            return ""

    def _look_at_ledger(self, now_ns: int) -> Tuple[Observation, ...]:
        seen = self._ledger.look()
        if seen == self._ledger_seen:
            return ()
        self._ledger_seen = seen
        return (seen,)


def _machine() -> MachineSeen:
    return MachineSeen(_boot_id(), time.time_ns(), time.monotonic_ns())


@lru_cache(maxsize=1)
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _only_agent(run_dir: Path) -> int:
    """Hold RUN_DIR/agent.lock; Unavailable when another agent does."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(run_dir / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unavailable(f"{run_dir} cannot be used: {error.strerror}; set run_dir") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Unavailable(f"another agent runs with {run_dir}; one is enough for a host") from None
    return lock
