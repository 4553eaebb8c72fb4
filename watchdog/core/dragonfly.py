"""The three generations of Dragonfly's client on a node, and what is different between them.

Law: a key of another generation is never written.  The Rust client ignores what
it does not know without a word, so the change would look applied and do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Mapping, Tuple

Keys = Tuple[str, ...]


class Generation(str, Enum):
    """Which client it is; the values are those of a diagnosis' reason."""

    V1 = "v1"  # dfdaemon and dfget of Dragonfly 0.x and 1.x, with a supernode
    V2_GO = "v2_go"  # `dfget daemon` of Dragonfly 2.0 to 2.3
    V2_RUST = "v2_rust"  # dfdaemon of the Rust client, the default since 2.2


@dataclass(frozen=True)
class Port:
    """A port by its usual number, and the key that may name another one."""

    usual: int
    keys: Keys


@dataclass(frozen=True)
class Product:
    """One generation as it stands on a node.

    `comm`: its process.  `config`: where its configuration usually is.  `proxy`
    is where the runtime is pointed at; only this generation answers 200 to GET
    `question` at `question_port`.  `central`: what it depends on elsewhere.
    `timeout` is the key of its piece time-out; `foreign` is the one that people
    write in its place.  `metrics` begins the names of its counters: of the tasks that
    failed, and of what came.
    """

    comm: str
    config: str
    proxy: Port
    question_port: Port
    question: str
    unit: str
    central: str
    timeout: Keys = ()
    foreign: Keys = ()
    metrics_port: Port = Port(0, ())  # noqa: RUF009  (frozen)
    metrics: str = ""
    failed: str = ""
    came: str = ""


# Sources: v1 dfdaemon/config, dfdaemon/handler; v2 Go client/config/peerhost_linux.go,
# client/daemon/metrics; Rust dragonfly-client-config/src/dfdaemon.rs, src/health, src/metrics.
PRODUCTS: Mapping[Generation, Product] = {
    Generation.V2_RUST: Product(
        comm="dfdaemon",
        config="/etc/dragonfly/dfdaemon.yaml",
        proxy=Port(4001, ("proxy", "server", "port")),
        question_port=Port(4003, ("health", "server", "port")),
        question="/healthy",
        unit="dfdaemon.service",
        central="scheduler and manager",
        timeout=("download", "pieceTimeout"),
        foreign=("download", "pieceDownloadTimeout"),
        metrics_port=Port(4002, ("metrics", "server", "port")),
        metrics="dragonfly_client_",
        failed="download_task_failure_total",
        came="download_traffic",  # bytes
    ),
    Generation.V2_GO: Product(
        comm="dfget",
        config="/etc/dragonfly/dfget.yaml",
        proxy=Port(65001, ("proxy", "tcpListen", "port")),
        question_port=Port(40901, ("health", "tcpListen", "port")),
        question="/server/ping",
        unit="dfget-daemon.service",
        central="scheduler and manager",
        timeout=("download", "pieceDownloadTimeout"),
        foreign=("download", "pieceTimeout"),
        metrics_port=Port(0, ("metrics",)),  # served only where it is set
        metrics="dragonfly_dfdaemon_",
        failed="peer_task_failed_total",
        came="piece_task_total",  # pieces; those that fail are counted elsewhere
    ),
    Generation.V1: Product(
        comm="dfdaemon",
        config="/etc/dragonfly/dfdaemon.yml",
        proxy=Port(65001, ("port",)),
        question_port=Port(65001, ("port",)),
        question="/args",
        unit="",  # none is shipped: it is a container, dfclient
        central="supernode",
    ),
}
COMMS = frozenset(product.comm for product in PRODUCTS.values())
