"""Chooses the event engine: the best one that sees, and why not a better one.

Law: an engine counts as working once it passed the self-test, not once it
loaded.  What did not work is kept with its reason for `doctor` and metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

from watchdog.errors import Unavailable
from watchdog.host.bpf import kernel_version
from watchdog.host.bpf.engine import Engine
from watchdog.host.bpf.selftest import demand_sight

AUTO = "auto"
CHOICES = ("libbpf", "bcc", "proc_connector", "polling")  # the best first
RING_BYTES = 256 * 1024


@dataclass(frozen=True)
class Attempt:
    """An engine that does not work here, and the reason in one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """The engine in use, and the better ones that were tried before it."""

    engine: Engine
    attempts: Tuple[Attempt, ...] = ()

    def describe(self) -> str:
        """One line, e.g. `bcc (not libbpf: no prebuilt object ...)`."""
        better = "; ".join(f"not {attempt.name}: {attempt.reason}" for attempt in self.attempts)
        return f"{self.engine.name} ({better})" if better else self.engine.name


def open_engine(choice: str = AUTO, ring_bytes: int = RING_BYTES, polling_interval_s: float = 1.0) -> Opened:
    """Open the engine of that name, or for `auto` the first of CHOICES that sees.

    `ring_bytes`: a power of two, at least 4096.  Raises Unavailable, with one
    line that says what, why and what to do.
    """
    if choice == AUTO:
        return _open_first(ring_bytes, polling_interval_s)
    try:
        return Opened(_open_and_test(choice, ring_bytes, polling_interval_s))
    except Unavailable as error:
        raise Unavailable(f"engine {choice} does not work here: {error}; set `engine: auto`") from error


def _open_first(ring_bytes: int, polling_interval_s: float) -> Opened:
    attempts: List[Attempt] = []
    for name in CHOICES:
        try:
            return Opened(_open_and_test(name, ring_bytes, polling_interval_s), tuple(attempts))
        except Unavailable as error:
            attempts.append(Attempt(name, str(error)))
    reasons = "; ".join(f"{attempt.name}: {attempt.reason}" for attempt in attempts)
    raise Unavailable(f"no event engine works here: {reasons}")


def _open_and_test(name: str, ring_bytes: int, polling_interval_s: float) -> Engine:
    openers: Dict[str, Callable[[], Engine]] = {
        "libbpf": lambda: _open_libbpf(ring_bytes),
        "bcc": lambda: _open_bcc(ring_bytes),
        "proc_connector": _open_proc_connector,
        "polling": lambda: _open_polling(polling_interval_s),
    }
    engine = openers[name]()
    try:
        demand_sight(engine)
    except BaseException:
        engine.close()
        raise
    return engine


# Imported when asked for: an engine that is not used costs no memory.


def _open_libbpf(ring_bytes: int) -> Engine:
    from watchdog.host.bpf.prebuilt import open_prebuilt

    _demand_ring_buffer()
    return open_prebuilt(ring_bytes)


def _open_bcc(ring_bytes: int) -> Engine:
    from watchdog.host.bpf.bcc import open_bcc

    _demand_ring_buffer()
    return open_bcc(ring_bytes)


def _open_proc_connector() -> Engine:
    from watchdog.host.bpf.proc_connector import ProcConnector

    return ProcConnector()


def _open_polling(interval_s: float) -> Engine:
    from watchdog.host.bpf.polling import Polling

    return Polling(interval_s)


def _demand_ring_buffer() -> None:
    version = kernel_version.running()
    if version < kernel_version.RING_BUFFER:
        raise Unavailable(kernel_version.shortcoming(version) or "")
