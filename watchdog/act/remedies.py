"""The table of all remedies."""

from __future__ import annotations

from typing import Any, Mapping

from watchdog.act.bypass_mirror import BYPASS_MIRROR
from watchdog.act.disable_pigz import DISABLE_PIGZ
from watchdog.act.dump_goroutines import DUMP_GOROUTINES
from watchdog.act.fewer_parallel import FEWER_PARALLEL
from watchdog.act.kill_decompressor import KILL_DECOMPRESSOR
from watchdog.act.more_attempts import MORE_ATTEMPTS
from watchdog.act.raise_p2p_timeout import RAISE_P2P_TIMEOUT
from watchdog.act.remedy import RemedyCode
from watchdog.act.repull import REPULL
from watchdog.act.reset_connection import RESET_CONNECTION
from watchdog.act.restart_p2p import RESTART_P2P
from watchdog.act.restart_runtime import RESTART_RUNTIME
from watchdog.act.resume import RESUME
from watchdog.act.route_around import ROUTE_AROUND
from watchdog.act.substitute_decompressor import SUBSTITUTE_DECOMPRESSOR
from watchdog.core.policy import Remedy

REMEDIES: Mapping[Remedy, RemedyCode[Any]] = {
    code.name: code
    for code in (
        RESUME,
        KILL_DECOMPRESSOR,
        SUBSTITUTE_DECOMPRESSOR,
        REPULL,
        DISABLE_PIGZ,
        RESTART_RUNTIME,
        RAISE_P2P_TIMEOUT,
        RESTART_P2P,
        RESET_CONNECTION,
        ROUTE_AROUND,
        DUMP_GOROUTINES,
        BYPASS_MIRROR,
        FEWER_PARALLEL,
        MORE_ATTEMPTS,
    )
}


def code_of(remedy: Remedy) -> RemedyCode[Any]:
    """The code of a remedy."""
    return REMEDIES[remedy]
