"""Advice about Dragonfly, by generation, and about mirrors and proxies on the node.

The three generations have three sets of keys.  A key of the wrong generation
is silently ignored by the Rust client: it looks applied and does nothing.
"""

from __future__ import annotations

from watchdog.core.advice.record import Advice, Elsewhere

_BYPASS = (
    "Meanwhile go around it. docker: take the entry out of registry-mirrors in /etc/docker/daemon.json "
    "(write [] if it was the only one), then SIGHUP. containerd: rename "
    "/etc/containerd/certs.d/REGISTRY/hosts.toml; no restart."
)
_NO_UNSAFE = "Do not switch TLS verification off, and do not empty the P2P store: its peers fetch from it."

PIECE_TIMEOUT_RUST = Advice(
    headline="Dragonfly (Rust client): pieces take longer than the piece time-out",
    likely=(
        "One piece, up to 64 MiB, does not come within download.pieceTimeout: made for small files, or the "
        "source, the disk or the CPU limit is slow. {evidence} Preheating runs on the seed clients, whose "
        "chart default is still 40 s."
    ),
    here=(
        "In /etc/dragonfly/dfdaemon.yaml: `download: pieceTimeout: 600s` (with collectedPieceTimeout and "
        "storage.writePieceTimeout no smaller), then restart dfdaemon when no transfer runs: unfinished "
        "ones are lost.",
        "Enough is: 2 x piece size x concurrentPieceCount x layers at once / measured bandwidth.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs Dragonfly on Kubernetes",
            "`helm upgrade --set client.config.download.pieceTimeout=600s --set "
            "seedClient.config.download.pieceTimeout=600s`: both, the seed clients are the ones that "
            "preheat. More CPU, memory and faster storage for the seed clients; fewer preheats at once.",
        ),
        Elsewhere(
            "whoever runs the registry behind it",
            "if the error comes without TimedOut (connection reset, IncompleteMessage), the source cuts "
            "the body: then raising the time-out does not help.",
        ),
    ),
    never=(
        "Do not set pieceDownloadTimeout: the Rust client never had that key and ignores it without a word.",
        _NO_UNSAFE,
    ),
)

ORIGIN_CUTS_RUST = Advice(
    headline="Dragonfly (Rust client): the source cuts pieces short",
    likely=(
        "The answer of the registry or its load balancer ends before the piece is complete; nothing says "
        "that a time-out of Dragonfly's was met. {evidence}"
    ),
    here=(
        "Pull once directly from the registry: if that is cut as well, the fault is behind Dragonfly.",
        _BYPASS,
        "If the failures come a fixed time after the start of a piece (10, 30, 40 or 120 s), it is "
        "download.pieceTimeout after all: 600s.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the registry or its load balancer", "it ends answers to Range requests early."
        ),
    ),
    never=("Do not set pieceDownloadTimeout: the Rust client never had that key.", _NO_UNSAFE),
)

PIECE_TIMEOUT_GO = Advice(
    headline="Dragonfly 2 (Go daemon): pieces or their lists do not come in time",
    likely=(
        "A piece takes longer than download.pieceDownloadTimeout (30s), or the daemon waits for a peer "
        "that sends nothing. {evidence}"
    ),
    here=(
        "In /etc/dragonfly/dfget.yaml: `download: pieceDownloadTimeout: 600s`, then `systemctl restart "
        "dfget-daemon` when no transfer runs. There is no reload for this key.",
        "A task that stands at 0 B/s with `peer task found` as its last line: restart the daemon once; "
        "2.1.52 or newer mends one cause of it.",
        _BYPASS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs Dragonfly on Kubernetes",
            "`helm upgrade --set dfdaemon.config.download.pieceDownloadTimeout=600s --set "
            "seedPeer.config.download.pieceDownloadTimeout=600s`: both, the seed peers are the ones that "
            "preheat.",
        ),
        Elsewhere(
            "whoever runs the scheduler",
            "scheduler.gc.pieceDownloadTimeout (30m) if preheats of large images are ended there; a "
            "restart of the scheduler freed daemons that waited for their first piece.",
        ),
    ),
    never=(
        "Do not write pieceTimeout into dfget.yaml: that is the Rust client's key.",
        _NO_UNSAFE,
    ),
)

NO_SCHEDULER_RUST = Advice(
    headline="Dragonfly (Rust client): no scheduler answers",
    likely=(
        "The scheduler is down, its address is stale, or it does not answer within "
        "scheduler.scheduleTimeout. {evidence}"
    ),
    here=(
        "If the download goes on by itself (back to source), nothing.",
        _BYPASS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs Dragonfly",
            "scheduler and manager up and reachable on 8002 and 65003; `proxy.disableBackToSource: false` "
            "so that pulls survive their absence; chart: scheduler.scheduleTimeout 3h.",
        ),
    ),
    never=(_NO_UNSAFE,),
)

NO_SCHEDULER_GO = Advice(
    headline="Dragonfly 2 (Go daemon): no scheduler answers",
    likely="The scheduler is down, unreachable or too slow. {evidence}",
    here=(
        "If the log says that it downloads from the source, pulls go on, only slower.",
        _BYPASS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs Dragonfly",
            "the scheduler on 8002; in dfget.yaml scheduler.disableAutoBackSource: false so that pulls "
            "survive its absence, and scheduler.scheduleTimeout (30s in the chart).",
        ),
    ),
    never=(_NO_UNSAFE,),
)

SUPERNODE_UNREACHABLE = Advice(
    headline="Dragonfly 1: the supernode cannot be reached, so dfdaemon answers 502",
    likely=(
        "dfget has no supernode's address, or it does not answer there. Without one it uses "
        "127.0.0.1:8002, fails to register, and with --notbs (the default) does not go to the source: "
        "dockerd gets 502 with an empty body. {evidence}"
    ),
    here=(
        "The address belongs into /etc/dragonfly/dfget.yml (`nodes: [IP:8002]`) or /etc/dragonfly.conf "
        "([node] and address=IP), inside the dfclient container. Then `docker restart dfclient`: there is "
        "no reload.",
        "From this node: `curl -s http://SUPERNODE:8002/` has to connect. The supernode must advertise an "
        "address that clients can reach.",
        "After repeated register failures: delete ~/.small-dragonfly/meta/host.meta in the container, then "
        "restart it.",
        _BYPASS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the supernode",
            "start it, ports 8001 and 8002 open from the nodes; clients of 1.0.6 or newer, or "
            "--notbs=false, go to the source by themselves.",
        ),
    ),
    never=(
        "Do not take 0 bytes for a hang here: Dragonfly 1 fetches a layer whole before it sends the first "
        "byte (10 GB at its 20 MB/s: 512 s). See whether its files in data/ grow.",
        "Do not restart dockerd for this: SIGHUP suffices for registry-mirrors.",
    ),
)

SUPERNODE_FAILS = Advice(
    headline="Dragonfly 1: the supernode answers and cannot get the layer",
    likely=(
        "The supernode cannot fetch from the source (`cdn status is fail`), or it keeps its peers waiting "
        "(`peer should wait`, code 602). {evidence}"
    ),
    here=(
        "See whether the files of dfget grow: if so, wait.",
        _BYPASS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the supernode",
            "its own way to the registry and its credentials; a restart of it frees starved queues; ports "
            "15000 to 65000 open between peers.",
        ),
    ),
    never=("Do not repeat the pull over and over: each one queues again.",),
)

RATE_LIMITED = Advice(
    headline="Dragonfly refuses requests of this node: its own rate limit",
    likely=(
        "The proxy of the Rust client allows a number of requests a second (proxy.server.requestRateLimit; "
        "the chart sets 50 on clients, 400 on seed clients). {evidence}"
    ),
    here=(
        "Fewer downloads at a time: max-concurrent-downloads in /etc/docker/daemon.json, then SIGHUP.",
        _BYPASS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs Dragonfly",
            "`--set client.config.proxy.server.requestRateLimit=4000` (the code's own default).",
        ),
    ),
    never=("Do not retry at once: that is what it counts.",),
)

MIRROR_FAILING = Advice(
    headline="The mirror, P2P client or proxy on the way fails itself",
    likely=(
        "Not the registry but what stands before it answered with an error or did not answer. {evidence}"
    ),
    here=(
        "Its own log has the cause; `systemctl status dfdaemon` (it stays down after an OOM kill), or the "
        "container's.",
        _BYPASS,
        "HTTP proxy: look at HTTPS_PROXY of docker.service; an https:// URL for a plain proxy gives "
        "`proxyconnect ... TLS handshake timeout`. NO_PROXY for the registry needs a restart of dockerd.",
    ),
    elsewhere=(
        Elsewhere("whoever runs the mirror or proxy", "what the lines below show, with their times."),
    ),
    never=(
        "Do not count on a fallback when it hangs: dockerd and containerd pass over a mirror on errors "
        "only, never on silence, and dockerd for docker.io only.",
    ),
)
