"""What an action needs to know from the configuration: the one place where act/ meets it.

Law: nothing else in act/ reads the configuration, so that an action's rules can
be read, and tested, against this short record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import FrozenSet, Mapping, Optional, Tuple

from watchdog.config import DEFAULT_DEADLINES_NS, Config, RuntimeConfig
from watchdog.config_p2p import P2pConfig
from watchdog.config_routes import Route
from watchdog.core.policy import (
    DEFAULT_BUDGETS,
    DEFAULT_EXPIRIES_NS,
    DEFAULT_ON,
    SECOND_NS,
    Budget,
    Mode,
    Remedy,
    Thresholds,
)
from watchdog.errors import Refused

HOST_INHIBIT = Path("/etc/pull-watchdog/inhibit")
DPKG_HOOKS = Path("/etc/dpkg/dpkg.cfg.d")


@dataclass(frozen=True)
class ActSettings:
    """One runtime, and what may be done to it.

    `inhibit_files`: any of them stops all action.  `lock_wait_s`: how long an
    action waits for another one to end.  `dpkg_hooks`: where dpkg reads its
    configuration.  `silence_ns`: how long a connection must be silent, by the
    kernel's own word, to be reset: half of what confirms a stall.
    """

    state_dir: Path
    run_dir: Path
    runtime: RuntimeConfig
    mode: Mode = Mode.OBSERVE
    remedies_on: FrozenSet[Remedy] = DEFAULT_ON
    budgets: Mapping[Remedy, Budget] = field(default_factory=lambda: dict(DEFAULT_BUDGETS))
    deadlines_ns: Mapping[Remedy, int] = field(default_factory=lambda: dict(DEFAULT_DEADLINES_NS))
    expiries_ns: Mapping[Remedy, int] = field(default_factory=lambda: dict(DEFAULT_EXPIRIES_NS))
    inhibit_files: Tuple[Path, ...] = ()
    lock_wait_s: float = 5.0
    silence_ns: int = Thresholds().stalled * SECOND_NS // 2
    dpkg_hooks: Path = DPKG_HOOKS
    p2p: Optional[P2pConfig] = P2pConfig()  # noqa: RUF009  (frozen)
    routes: Tuple[Route, ...] = ()
    hosts_file: Path = Path("/etc/hosts")

    @property
    def own_dir(self) -> Path:
        """Beside RUN_DIR, which the agent can write to: what root alone may have made (act/own_file)."""
        return self.run_dir.with_name(f"{self.run_dir.name}-act")

    @property
    def socket_path(self) -> Optional[str]:
        """The runtime's UNIX socket; None for a remote runtime, which is never acted upon."""
        scheme, _, path = self.runtime.socket.partition("://")
        return path if scheme == "unix" else None


def settings_for(config: Config, runtime: str) -> ActSettings:
    """The settings for the runtime of that name; Refused when the configuration has none."""
    found = next((one for one in config.runtimes if one.name == runtime), None)
    if found is None:
        raise Refused(f'the configuration has no runtime named "{runtime}"')
    return ActSettings(
        state_dir=config.state_dir,
        run_dir=config.run_dir,
        runtime=found,
        mode=config.policy.mode,
        remedies_on=config.policy.remedies_on,
        budgets=config.policy.budgets,
        deadlines_ns=config.deadlines_ns,
        expiries_ns=config.policy.expiries_ns,
        silence_ns=config.policy.thresholds.stalled * config.policy.tick_ns // 2,
        inhibit_files=(config.run_dir / "inhibit", HOST_INHIBIT),
        p2p=config.p2p,
        routes=config.routes,
        hosts_file=config.hosts_file,
    )
