"""The configuration: YAML files in, one frozen record out.

Law: what is not written has a default that is safe (observe, loopback, the
standard places); what is written and not understood stops the start with one
line that names file, line and remedy.  Nothing here looks at the machine apart
from reading these files (config_files.py: which, and what wins).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Tuple, TypeVar

from watchdog.config_around import LogConfig, read_harbors, read_logs, read_name, read_service
from watchdog.config_files import files_of, merged
from watchdog.config_p2p import P2pConfig, read_p2p
from watchdog.config_routes import Route, read_routes
from watchdog.core.policy import (
    DEFAULT_BUDGETS,
    DEFAULT_EXPIRIES_NS,
    DEFAULT_ON,
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Budget,
    Mode,
    Policy,
    Remedy,
    Thresholds,
)
from watchdog.yamlfile import Value

DEFAULT_PATH = Path("/etc/pull-watchdog/config.yaml")
DEFAULT_SOCKET = "unix:///run/docker.sock"

T = TypeVar("T")


class Kind(str, Enum):
    """The runtimes that we can talk to; podman behind docker's socket is recognised by its answers."""

    DOCKER = "docker"


class Engine(str, Enum):
    """Where kernel events come from; AUTO takes the first that works, in this order."""

    AUTO = "auto"
    LIBBPF = "libbpf"
    BCC = "bcc"
    PROC_CONNECTOR = "proc_connector"
    POLLING = "polling"


class LogFormat(str, Enum):
    """AUTO: for people on a terminal, JSON otherwise."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True)
class RuntimeConfig:
    """One runtime to watch.

    `service` (a systemd unit) or `restart` (a command) is how it is restarted;
    neither means that it cannot be.  `log` is "journal", a path, or None.
    `env_file` is where an environment for its next start is put, if its unit
    reads it from there.
    """

    kind: Kind = Kind.DOCKER
    name: str = "docker"
    socket: str = DEFAULT_SOCKET
    service: Optional[str] = "docker.service"
    restart: Tuple[str, ...] = ()
    pidfile: Optional[Path] = None
    log: Optional[str] = "journal"
    env_file: Optional[Path] = Path("/run/pull-watchdog-env/docker.env")


@dataclass(frozen=True)
class Listen:
    """Where metrics are served; port 0 takes a free one, which state.json then names."""

    host: str = "127.0.0.1"
    port: int = 9847


DEFAULT_DEADLINES_NS: Mapping[Remedy, int] = {
    Remedy.RESUME: 10 * SECOND_NS,
    Remedy.KILL_DECOMPRESSOR: 20 * SECOND_NS,
    Remedy.SUBSTITUTE_DECOMPRESSOR: 30 * SECOND_NS,
    Remedy.REPULL: 2 * HOUR_NS,  # as long as a large image takes to arrive
    Remedy.DISABLE_PIGZ: 3 * MINUTE_NS,
    Remedy.RESTART_RUNTIME: 3 * MINUTE_NS,
    Remedy.RESET_CONNECTION: 20 * SECOND_NS,
    Remedy.ROUTE_AROUND: MINUTE_NS,
    Remedy.DUMP_GOROUTINES: MINUTE_NS,
    Remedy.FEWER_PARALLEL: MINUTE_NS,
    Remedy.MORE_ATTEMPTS: 3 * MINUTE_NS,
    Remedy.BYPASS_MIRROR: 4 * MINUTE_NS,  # a layer that waits at the mirror is given up after 75 s
    Remedy.RAISE_P2P_TIMEOUT: 3 * MINUTE_NS,
    Remedy.RESTART_P2P: 3 * MINUTE_NS,
}


@dataclass(frozen=True)
class Config:
    """Everything that the operator decides.  `path` is what -c takes; None for the default place.

    `files` are those that it was read from, the later over the earlier; none: all defaults.
    `hosts_file` is where the runtime looks up `routes`.
    `logs` None: those of the node that are certainly about images.
    """

    path: Optional[Path] = None
    files: Tuple[Path, ...] = field(default=(), compare=False)
    policy: Policy = field(default_factory=Policy)
    runtimes: Tuple[RuntimeConfig, ...] = (RuntimeConfig(),)
    metrics: Optional[Listen] = Listen()  # noqa: RUF009  (frozen)
    p2p: Optional[P2pConfig] = P2pConfig()  # noqa: RUF009  (frozen)
    state_dir: Path = Path("/var/lib/pull-watchdog")
    run_dir: Path = Path("/run/pull-watchdog")
    engine: Engine = Engine.AUTO
    log_format: LogFormat = LogFormat.AUTO
    deadlines_ns: Mapping[Remedy, int] = field(default_factory=lambda: dict(DEFAULT_DEADLINES_NS))
    recording_frames: int = 180
    logs: Optional[Tuple[LogConfig, ...]] = None
    harbors: Tuple[str, ...] = ()
    routes: Tuple[Route, ...] = ()
    hosts_file: Path = Path("/etc/hosts")


_KEYS = (
    "mode",
    "runtimes",
    "metrics",
    "p2p",
    "state_dir",
    "run_dir",
    "engine",
    "log_format",
    "remedies",
    "thresholds",
    "budgets",
    "deadlines",
    "expiries",
    "recording_frames",
    "logs",
    "harbor",
    "routes",
    "hosts_file",
)
_REMEDIES = tuple(remedy.value for remedy in Remedy)
_RUNTIME_KEYS = ("kind", "name", "socket", "service", "restart", "pidfile", "log", "env_file")
_MOST_SAMPLES = 100_000


def load(path: Optional[Path] = None) -> Config:
    """The configuration in `path` and conf.d beside it; without one, that of the default path if it is there.

    Raises ConfigError, whose message is one line for a person.
    """
    files = files_of(path or DEFAULT_PATH, must_exist=path is not None)
    top = merged(files, _KEYS)
    default = Config()
    config = Config(
        path=path or (DEFAULT_PATH if DEFAULT_PATH in files else None),
        files=files,
        policy=_policy(top),
        runtimes=_read(top, "runtimes", _runtimes, default.runtimes),
        metrics=_read(top, "metrics", _metrics, default.metrics),
        p2p=_read(top, "p2p", read_p2p, default.p2p),
        state_dir=_read(top, "state_dir", Value.absolute_path, default.state_dir),
        run_dir=_read(top, "run_dir", Value.absolute_path, default.run_dir),
        engine=_read(top, "engine", lambda value: value.choice(Engine), default.engine),
        log_format=_read(top, "log_format", lambda value: value.choice(LogFormat), default.log_format),
        deadlines_ns=_read(top, "deadlines", _deadlines, default.deadlines_ns),
        recording_frames=_read(top, "recording_frames", lambda value: value.whole(10, 10_000), 180),
        logs=_read(top, "logs", read_logs, None),
        harbors=_read(top, "harbor", read_harbors, ()),
        routes=_read(top, "routes", read_routes, ()),
        hosts_file=_read(top, "hosts_file", Value.absolute_path, default.hosts_file),
    )
    _demand_own_names(config, top)
    if config.state_dir == config.run_dir:
        where = top.get("state_dir") or top["run_dir"]
        raise where.wrong(f"state_dir and run_dir are both {config.run_dir}: they must differ")
    return config


def _demand_own_names(config: Config, top: Mapping[str, Value]) -> None:
    """A log with a runtime's name would be taken for the runtime's own."""
    runtimes = {one.name for one in config.runtimes}
    for log in config.logs or ():
        if log.name in runtimes:
            raise top["logs"].wrong(f'a log and a runtime are both named "{log.name}": rename the log')


def _read(section: Mapping[str, Value], key: str, read: Callable[[Value], T], default: T) -> T:
    return read(section[key]) if key in section else default


def _policy(top: Mapping[str, Value]) -> Policy:
    default = Policy()
    return Policy(
        mode=_read(top, "mode", lambda value: value.choice(Mode), default.mode),
        remedies_on=_read(top, "remedies", _remedies_on, default.remedies_on),
        thresholds=_read(top, "thresholds", _thresholds, default.thresholds),
        budgets=_read(top, "budgets", _budgets, default.budgets),
        expiries_ns=_read(top, "expiries", _expiries, default.expiries_ns),
    )


def _remedies_on(value: Value) -> frozenset[Remedy]:
    wanted = {Remedy(name): one.switch() for name, one in value.section(_REMEDIES).items()}
    return frozenset(remedy for remedy in Remedy if wanted.get(remedy, remedy in DEFAULT_ON))


def _thresholds(value: Value) -> Thresholds:
    known = tuple(each.name for each in fields(Thresholds))
    # Standing still is seen between two samples, so one alone can confirm nothing.
    samples = {name: one.whole(2, _MOST_SAMPLES) for name, one in value.section(known).items()}
    return replace(Thresholds(), **samples)


def _budgets(value: Value) -> Mapping[Remedy, Budget]:
    budgets: Dict[Remedy, Budget] = dict(DEFAULT_BUDGETS)
    for name, one in value.section(_REMEDIES).items():
        remedy, section = Remedy(name), one.section(("count", "window", "cooldown"))
        default = budgets[remedy]
        budgets[remedy] = Budget(
            count=_read(section, "count", lambda value: value.whole(0, 1000), default.count),
            window_ns=_read(section, "window", Value.duration_ns, default.window_ns),
            cooldown_ns=_read(section, "cooldown", Value.duration_ns, default.cooldown_ns),
        )
    return budgets


def _deadlines(value: Value) -> Mapping[Remedy, int]:
    given = {Remedy(name): one.duration_ns() for name, one in value.section(_REMEDIES).items()}
    return {**DEFAULT_DEADLINES_NS, **given}


def _expiries(value: Value) -> Mapping[Remedy, int]:
    known = tuple(remedy.value for remedy in DEFAULT_EXPIRIES_NS)
    given = {Remedy(name): one.duration_ns() for name, one in value.section(known).items()}
    return {**DEFAULT_EXPIRIES_NS, **given}


# --- runtimes --------------------------------------------------------------------


def _runtimes(value: Value) -> Tuple[RuntimeConfig, ...]:
    found: Dict[str, RuntimeConfig] = {}
    for one in value.items():
        runtime = _runtime(one)
        if runtime.name in found:
            raise one.wrong(f'two runtimes are named "{runtime.name}": give each its own name')
        found[runtime.name] = runtime
    return tuple(found.values())


def _runtime(value: Value) -> RuntimeConfig:
    section = value.section(_RUNTIME_KEYS)
    if "service" in section and "restart" in section:
        raise section["restart"].wrong("a runtime has a service or a restart command: remove one of the two")
    kind = _read(section, "kind", lambda one: one.choice(Kind), Kind.DOCKER)
    name = _read(section, "name", read_name, kind.value)
    socket = _read(section, "socket", _socket, DEFAULT_SOCKET)
    restart = section["restart"].words() if "restart" in section else ()
    service = _read(section, "service", read_service, None if restart else _usual_service(socket))
    return RuntimeConfig(
        kind=kind,
        name=name,
        socket=socket,
        service=service,
        restart=restart,
        pidfile=_read(section, "pidfile", Value.absolute_path, None),
        log=_read(section, "log", _log, "journal" if service else None),
        env_file=_read(section, "env_file", Value.absolute_path, _usual_env_file(name, service)),
    )


def _usual_service(socket: str) -> Optional[str]:
    """Only the daemon at the standard place is known to be docker.service."""
    return "docker.service" if socket in (DEFAULT_SOCKET, "unix:///var/run/docker.sock") else None


def _usual_env_file(name: str, service: Optional[str]) -> Optional[Path]:
    return Path(f"/run/pull-watchdog-env/{name}.env") if service else None


def _socket(value: Value) -> str:
    found = value.text("a socket such as unix:///run/docker.sock")
    if found.startswith("/"):
        raise value.wrong(f'{value.name} needs its scheme: write "unix://{found}"')
    scheme, _, rest = found.partition("://")
    if scheme == "unix" and rest.startswith("/"):
        return found
    if scheme in ("tcp", "ssh", "http", "https") and rest:
        return found  # remote: recognised and told, never judged
    raise value.wrong(f'{value.name} cannot be "{found}": write unix:///PATH or tcp://HOST:PORT')


def _log(value: Value) -> str:
    found = value.text('"journal" or a path')
    if found == "journal":
        return found
    if not found.startswith("/"):
        raise value.wrong(f'{value.name} cannot be "{found}": write journal, or the absolute path of a file')
    return str(value.absolute_path())


# --- metrics ---------------------------------------------------------------------


def _metrics(value: Value) -> Optional[Listen]:
    section = value.section(("listen",))
    return _listen(section["listen"]) if "listen" in section else Listen()


def _listen(value: Value) -> Optional[Listen]:
    found = value.scalar('ADDRESS:PORT such as "127.0.0.1:9847", or off')
    if found.lower() in ("off", "no", "false"):
        return None
    try:
        return _address(found)
    except ValueError:
        raise value.wrong(
            f'{value.name} cannot be "{found}": write ADDRESS:PORT such as 127.0.0.1:9847, or off'
        ) from None


def _address(text: str) -> Listen:
    host, port = text.rsplit(":", 1)
    if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(port)
    # No names: a resolver could hang the start.
    ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    return Listen(str(ip), int(port))
