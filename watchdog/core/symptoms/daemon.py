"""The runtime's daemons: gone, not starting, or refusing their own configuration."""

from __future__ import annotations

import re
from typing import Tuple

from watchdog.core.symptoms.rule import Rule, words
from watchdog.core.symptoms.vocabulary import SymptomKind as Kind

_UNITS = re.compile(
    r"\b(?:docker|containerd|dockerd|dfdaemon|dfget-daemon|crio|cri-o|podman|cri-docker|snapshotter|buildkit|nydus|stargz)"
    r"|docker applicat|containerd container runtime|active: failed \(result|main pid: \d+ \(code="
)

_CONFIG = (
    Rule(
        Kind.CONFIG,
        "rt.config_rejected",
        words(
            """
            unable to configure the docker daemon | directives are specified both as a flag
            directives don't match any configuration option | invalid mirror | is not a valid mirror
            flag provided but not defined | unknown flag | unknown shorthand flag | unknown configuration
            invalid containerd config | failed to load toml | failed to unmarshal toml | conflicting options
            invalid log-level | config is not valid | invalid plugin config | invalid cri
            """
        ),
    ),
    Rule(
        Kind.CONFIG,
        "rt.config_rejected",
        ("invalid", "failed to", "unable to", "error"),
        matching=re.compile(
            r"daemon\.json|(?:load|pars|decod|read)\w* .*(?:(?:config|hosts)\.toml|(?:dfdaemon|dfget)\.yaml)"
            r"|live-restore daemon configuration is incompatible"
            r"|failed to (?:load|parse) .*config(?:uration)? (?:file|from)"
        ),
        without=("no such file", "connection", "cni"),
    ),
)

_SYSTEMD = (
    Rule(
        Kind.DAEMON_DOWN,
        "rt.unit_failed",
        words(
            """
            main process exited | start request repeated too | failed to listen on docker | start-limit-hit
            failed with result | entered failed state | failed to start | control process exited
            dependency failed for | dependency job for | has failed | did not exit successfully
            active: failed (result | process exited | code=exited, status=1/failure | code=dumped
            code=killed, signal= | watchdog timeout | start operation timed out
            state 'stop-sigterm' timed out | state 'final-sigterm' timed out
            """
        ),
        matching=_UNITS,
        without=(
            "code=exited, status=0",
            "failed to start daemon",
            "failed to start container",
            "failed to start sandbox",
            ".scope:",
            "docker-",
        ),
    ),
)

_SOCKETS = (
    Rule(
        Kind.DAEMON_DOWN,
        "rt.daemon_unreachable",
        (
            "is the docker daemon running",
            "to the docker daemon",
            "docker daemon is not",
            "failed to connect to the docker api",
            "failed to connect to containerd",
            "failed to connect to {unix",
            "grpc: the connection is unavailable",
            'failed to dial "/run/containerd',
            'failed to dial "/var/run',
            "transport is closing",
            "ttrpc: closed",
            "container runtime is down",
            "runtime is not ready",
            "container runtime is not running",
            "waiting for containerd to start",
            "failed to start containerd",
            "docker_engine",
        ),
        without=("permission denied",),
        matching=re.compile(r"^(?!.*\b(?:cni|networkready=false|network plugin)\b)"),
    ),
    Rule(
        Kind.DAEMON_DOWN,
        "rt.daemon_unreachable",
        words(
            """
            refused | no such file | reset by peer | broken pipe | eof | deadline exceeded | : timeout
            i/o timeout | timed out
            """
        ),
        with_all=(".sock",),
        matching=re.compile(
            r"dial|connect|from server|unix @->|error during|read unix|write unix|%2fvar%2frun"
        ),
    ),
    Rule(Kind.DAEMON_DOWN, "rt.daemon_unreachable", ("error reading from server: eof",)),
)

_START = (
    Rule(
        Kind.DAEMON_DOWN,
        "rt.daemon_start",
        (
            "failed to start daemon",
            "failed to load listeners",
            "pid file found, ensure docker is not running",
            "error starting daemon",
        ),
        without=("no space left", "input/output error", "read-only file system", "too many open files"),
    ),
    Rule(
        Kind.DAEMON_DOWN,
        "rt.daemon_crashed",
        ("fatal error: ", "panic: "),
        matching=re.compile(r"^(?:fatal error|panic): "),
    ),
)

RULES: Tuple[Rule, ...] = (*_CONFIG, *_SYSTEMD, *_START, *_SOCKETS)
