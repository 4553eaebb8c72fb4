"""The log: one line for each change, for people on a terminal and for machines elsewhere.

Law: the same thing is not said at every tick, a flood is cut and counted, and a
reader that does not read (a full pipe, a stuck journal) never stops the agent.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Any, Callable, Dict, List, Mapping, MutableMapping, Optional, TextIO, Tuple

from watchdog.config import LogFormat
from watchdog.core.observation import RuntimeSeen, SensorState
from watchdog.core.redaction import redact
from watchdog.core.tick import Decision, Tick, Transition
from watchdog.report.journal import journal_sink
from watchdog.report.writer import Writer

Fields = MutableMapping[str, Any]

BURST_LINES = 60
LINES_PER_S = 2.0
SAID_AGAIN_AFTER_S = 60.0
_QUEUE_LINES = 500
_LEVELS = {"confirmed": "warning", "gone": "warning", "gave_up": "error"}


class Log:
    """Says what changed.  `dropped` counts the lines that were cut."""

    def __init__(self, logger: Any, writer: Writer, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._writer = writer
        self._clock = clock
        self._said: Dict[str, str] = {}
        self._sentences: Dict[str, float] = {}
        self._tokens = float(BURST_LINES)
        self._refilled = clock()
        self._cut = 0
        self._cut_untold = 0

    @property
    def dropped(self) -> int:
        """Lines that were not written: cut from a flood, or the reader did not read."""
        return self._cut + self._writer.dropped

    def say(self, event: str, level: str = "info", **fields: Any) -> None:
        """One line: a short sentence and its fields; those that are None or "" are left out."""
        if not self._may_speak():
            return
        if self._cut_untold:
            self._logger.warning("log lines were cut from a flood", lines=self._cut_untold)
            self._cut_untold = 0
        getattr(self._logger, level)(
            event, **{name: one for name, one in fields.items() if one not in (None, "")}
        )

    def observe(self, tick: Tick) -> None:
        """Say what is new in this tick; the sentence only if there is nothing else to say."""
        records = {record["id"]: record for record in tick.incidents}
        spoke = [self._transition(one, records.get(one.incident, {})) for one in tick.transitions]
        spoke += [self._decision(one) for one in tick.decisions]
        spoke += [self._sensor(one) for one in tick.sensors]
        spoke += [self._runtime(one) for one in tick.runtimes]
        spoke += [self._standstill("paused", tick.paused), self._standstill("inhibited", tick.inhibited)]
        if not any(spoke):
            self._sentence(tick.sentence)

    def close(self, deadline_s: float) -> bool:
        """Write what is queued; False when the reader did not take it in time."""
        return self._writer.close(deadline_s)

    # --- what is worth a line -------------------------------------------------

    def _transition(self, one: Transition, record: Mapping[str, Any]) -> bool:
        culprit = record.get("culprit") or {}
        self.say(
            f"incident {one.new.replace('_', ' ')}",
            _LEVELS.get(one.new, "info"),
            incident=one.incident,
            cause=record.get("cause"),
            image=record.get("image"),
            pid=culprit.get("pid"),
            exe=culprit.get("exe"),
            reason=one.reason,
        )
        return True

    def _decision(self, one: Decision) -> bool:
        topic = f"decision {one.incident} {one.undo}"
        if not self._is_new(topic, _shape(f"{one.call.value} {one.remedy} {one.reason}")):
            return False
        self.say(
            f"decision: {one.call.value.replace('_', ' ')}",
            incident=one.incident,
            remedy=one.remedy,
            undo=one.undo,
            reason=one.reason,
        )
        return True

    def _sensor(self, one: SensorState) -> bool:
        if not self._is_new(f"sensor {one.sensor}", _shape(f"{one.up} {one.detail}")):
            return False
        level = "info" if one.up else "warning"
        self.say(f"sensor {'up' if one.up else 'down'}", level, sensor=one.sensor, detail=one.detail)
        return True

    def _runtime(self, one: RuntimeSeen) -> bool:
        pid = one.process.pid if one.process else None
        if not self._is_new(f"runtime {one.runtime}", f"{pid} {one.api.value} {one.sight.value}"):
            return False
        self.say(
            f"runtime {one.api.value}",
            runtime=one.runtime,
            pid=pid,
            version=one.version,
            sight=one.sight.value,
            data_root=one.data_root,
            detail=one.detail,
        )
        return True

    def _standstill(self, what: str, reason: str) -> bool:
        known = self._said.get(what, "")
        if reason == known:
            return False
        self._said[what] = reason
        self.say(f"all action is {what}" if reason else f"action is no longer {what}", reason=reason)
        return True

    def _sentence(self, sentence: str) -> None:
        shape, now = _shape(sentence), self._clock()
        self._sentences = {one: at for one, at in self._sentences.items() if now - at < SAID_AGAIN_AFTER_S}
        if self._said.get("sentence") != shape and shape not in self._sentences:
            self.say(sentence)
            self._sentences[shape] = now
        self._said["sentence"] = shape

    # --- inside ------------------------------------------------------------------

    def _is_new(self, topic: str, what: str) -> bool:
        """True when something else was said about the topic before."""
        known, self._said[topic] = self._said.get(topic), what
        return known != what

    def _may_speak(self) -> bool:
        now = self._clock()
        self._tokens = min(BURST_LINES, self._tokens + (now - self._refilled) * LINES_PER_S)
        self._refilled = now
        if self._tokens < 1:
            self._cut += 1
            self._cut_untold += 1
            return False
        self._tokens -= 1
        return True


def _shape(sentence: str) -> str:
    """A sentence without its numbers, so that a countdown is one sentence."""
    return re.sub(r"\d+", "#", sentence)


# --- where lines go ----------------------------------------------------------------


class LineSink:
    """What structlog calls a logger: takes rendered lines and has them written by a thread."""

    def __init__(self, stream: TextIO, writer: Writer) -> None:
        self._stream = stream
        self._writer = writer

    def msg(self, line: str) -> None:
        """Have the line written."""
        self._writer.submit(lambda: self._write(line))

    debug = info = warning = error = critical = msg

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def open_log(
    format: LogFormat, stream: Optional[TextIO] = None, clock: Callable[[], float] = time.monotonic
) -> Log:
    """A log to `stream` (stderr).

    AUTO is the console on a terminal, the journal's own fields where the
    stream leads there, and JSON lines otherwise.
    """
    stream = stream or sys.stderr
    writer = Writer("log", _QUEUE_LINES)
    if format is LogFormat.AUTO:
        sink = journal_sink(stream, writer)
        if sink is not None:
            return Log(_logger(sink, [_journal_fields]), writer, clock)
    is_console = format is LogFormat.CONSOLE or (format is LogFormat.AUTO and stream.isatty())
    processors = _console(stream) if is_console else _json()
    return Log(_logger(LineSink(stream, writer), processors), writer, clock)


def _import_structlog() -> Any:
    """structlog without rich: where that is installed, it would cost the agent 4 MB for
    tracebacks that we never print."""
    had = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        del sys.modules["rich"]
        if had is not None:
            sys.modules["rich"] = had
    return structlog


def _logger(sink: Any, processors: List[Any]) -> Any:
    structlog = _import_structlog()
    return structlog.wrap_logger(
        sink,
        processors=[_redact_fields, *processors],
        wrapper_class=structlog.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )


def _console(stream: TextIO) -> List[Any]:
    structlog = _import_structlog()
    colours = stream.isatty() and "NO_COLOR" not in os.environ
    try:
        renderer = structlog.dev.ConsoleRenderer(colors=colours)
    except SystemError:  # 20.1 insists on colorama
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    clock = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    return [structlog.stdlib.add_log_level, clock, renderer]


def _json() -> List[Any]:
    structlog = _import_structlog()
    clock = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return [structlog.stdlib.add_log_level, clock, _in_reading_order, structlog.processors.JSONRenderer()]


def _in_reading_order(logger: Any, method: str, fields: Fields) -> Fields:
    first = {name: fields[name] for name in ("timestamp", "level", "event")}
    return {**first, **fields}


def _redact_fields(logger: Any, method: str, fields: Fields) -> Fields:
    return {name: redact(one) if isinstance(one, str) else one for name, one in fields.items()}


def _journal_fields(logger: Any, method: str, fields: Fields) -> Tuple[Tuple[()], Dict[str, Any]]:
    """The journal's form: a message for people, and each field under our prefix."""
    told = ", ".join(f"{name}={one}" for name, one in fields.items() if name != "event")
    message = f"{fields['event']}: {told}" if told else str(fields["event"])
    named = {f"PULL_WATCHDOG_{name.upper()}": str(one) for name, one in fields.items() if name != "event"}
    return (), {"MESSAGE": message, **named}
