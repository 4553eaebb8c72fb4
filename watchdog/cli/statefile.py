"""The agent's state file, and whether it is still true."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict

from watchdog.errors import NotRunning, Unavailable
from watchdog.report.state import FILE_NAME, SCHEMA, start_ticks

# The agent writes at least every ten seconds; twice that and a slow tick is late.
STALE_AFTER_S = 25.0


@dataclass(frozen=True)
class Seen:
    """The state as it was written; `running`: that very process is there."""

    state: Dict[str, Any]
    age_s: float
    running: bool

    @property
    def stale(self) -> bool:
        """True when the agent is late: it hangs, or the file cannot be written."""
        return self.age_s > STALE_AFTER_S


def read_state(run_dir: Path) -> Seen:
    """The state file.  Raises NotRunning without one, Unavailable for one that is not ours."""
    path = run_dir / FILE_NAME
    try:
        state = json.loads(path.read_bytes())
        schema = state["schema"]
        age_s = (time.monotonic_ns() - int(state["updated_monotonic_ns"])) / 1e9
        running = start_ticks(int(state["pid"])) == state["start_ticks"]
    except (FileNotFoundError, NotADirectoryError):
        raise NotRunning(
            f"the agent is not running: there is no {path}; start it with `systemctl start pull-watchdog` "
            "or `pull-watchdog run`, or name its configuration with -c"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"{path} is no state file of ours ({error!r})") from None
    if schema != SCHEMA:
        raise Unavailable(
            f"{path} is of schema {schema}, this is {SCHEMA}: restart the agent after an upgrade"
        )
    return Seen(state, age_s, running)
