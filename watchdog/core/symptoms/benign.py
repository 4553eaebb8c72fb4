"""Look-alikes: lines with alarming words that are part of every healthy day.

`NOTED` are no look-alikes but what a story needs to know: how far a pull came.
"""

from __future__ import annotations

import re
from typing import Optional, Pattern, Tuple

from watchdog.core.symptoms.rule import Rule
from watchdog.core.symptoms.vocabulary import SymptomKind

PULLING = (  # a line with one of these is about an image, whatever else it says
    "pull image",
    "pulling image",
    "pullimage",
    "image pull",
    "errimagepull",
    "imagepullbackoff",
    "/v2/",
    "/v1/_ping",
    "failed to pull",
    "images/create",
    "sandbox image",
)


def _harmless(
    *one_of: str,
    with_all: Tuple[str, ...] = (),
    without: Tuple[str, ...] = (),
    matching: Optional[Pattern[str]] = None,
    detail: str = "",
) -> Rule:
    return Rule(SymptomKind.NONE, detail, one_of, with_all, without, matching)


NOTED: Tuple[Rule, ...] = (  # no symptom, but a story wants to know that they were there
    _harmless(": extracting ", detail="cli.extracting", matching=re.compile(r"^[0-9a-f]{12}: extracting ")),
    _harmless(
        ": pull complete", detail="cli.layer_done", matching=re.compile(r"^[0-9a-f]{12}: pull complete")
    ),
    _harmless("status: downloaded newer image", "status: image is up to date", detail="cli.pull_done"),
    _harmless("applying tar in ", detail="rt.extraction_began"),
    _harmless("applied tar sha256:", detail="rt.extraction_ended"),
    _harmless("start to download piece", detail="dfrs.piece_began"),
)

_PROGRESS = (
    _harmless(
        ": pulling fs layer",
        ": waiting",
        ": downloading",
        ": download complete",
        ": verifying checksum",
        ": already exists",
        ": layer already exists",
        ": pushed",
        ": pushing",
        ": preparing",
        matching=re.compile(r"^[0-9a-f]{12}: (?!retrying)[a-z ]+\W*(?:$|\[|\d)"),
    ),
)

_RUNTIMES = (
    _harmless(".sock->@"),  # dockerd's word about a client of its API that went away
    _harmless("can't find the container with id", "error finding container", "unable to read config path"),
    _harmless(
        "stopping event stream following graceful shutdown", "event stream following graceful shutdown"
    ),
    _harmless("reading from a closed fifo", "shim disconnected", "shim reaped", "cleaning up dead shim"),
    _harmless("no such container", "no such exec", "no such network", "no such volume", "no such service"),
    _harmless("nosuchcontainer", "containerd: process exited", "only one connection allowed"),
    _harmless("containerd health check returned error", 'apparmor="denied"'),
    _harmless("iptables", without=(*PULLING, "start daemon", "starting daemon")),
    _harmless(
        "container not found", "task not found", "process already finished", without=("dfget", "piece")
    ),
    _harmless("no such image", with_all=("handler for ",)),
    _harmless("no such image", matching=re.compile(r"\(http code 404\)|^\S*error: no such image: sha256")),
    _harmless(
        "cleaned up",
        with_all=("layer",),
        matching=re.compile(r"layer sha256:\w+ cleaned up|cleaned up layer"),
    ),
    _harmless("falling back to go gzip", "falling back to go's gzip"),
    _harmless(
        "to decompress", "for decompression", matching=re.compile(r"\busing \S+ (?:to|for) decompress")
    ),
    _harmless(
        *("skip plugin", "skip loading plugin", "failed to load plugin", "could not use snapshotter"),
        without=("invalid",),
    ),
    _harmless(
        "failed to load cni", "cni config", "cni plugin not initialized", "network plugin is not ready"
    ),
    _harmless("networkplugin cni failed", "failed to setup network for sandbox", "network for pod"),
    _harmless("attempting to resume download"),
    _harmless(
        "no non-localhost dns nameservers", "system certificate pool", "using default external servers"
    ),
    _harmless("tls handshake error from"),  # a listener's word about whoever knocked
    _harmless("error reading preface"),
    _harmless("is the containerd daemon running", with_all=("level=debug",)),
    _harmless("not continuing with pull after error", matching=re.compile(r"pull after error: ?$")),
    # Said before every good pull from a plain-http registry; the next endpoint answers.
    _harmless(
        "first record does not look like a tls handshake",
        "server gave http response to https client",
        matching=re.compile(r"^(?:error getting v2 registry|attempting next endpoint)"),
    ),
    _harmless("error=<nil>", "err=<nil>", "error: <nil>", "error:<nil>"),
)

_CLUSTER = (  # the kubelet, the control plane and swarm about each other
    _harmless(":2377", "memberlist", "agent: session failed", "heartbeat to manager", "raft node"),
    _harmless("/apis/", "/api/v1?", "/healthz", "/livez", "/readyz", "/openapi/", without=PULLING),
    _harmless(
        "/api/v1/",
        without=PULLING,
        matching=re.compile(
            r"/api/v1/(?:nodes|pods|namespaces|services|configmaps|secrets|endpoints|events|pers)"
        ),
    ),
    _harmless("kubernetes api connection failure", "plugin/kubernetes", "could not reach the kubernetes api"),
    _harmless("failed to list *", "failed to watch *", "reflector.go", without=PULLING),
    _harmless("unable to write event", "unable to register node", "failed to ensure lease", "node lease"),
    _harmless("error getting node", "error updating node status", "unable to update node status"),
    _harmless(
        *("kube-apiserver", "apiserver", "etcd", "coredns"),
        without=(*PULLING, "failed to extract", "unpack"),
        matching=re.compile(
            r"refused|timeout|timed out|deadline|\beof\b|unavailable|canceled|reset by|not found|x509"
        ),
    ),
    _harmless(":6443", ":10250", ":10248", ":10255", ":2379", ":2380", without=PULLING),
    _harmless("localhost:8080/api", "127.0.0.1:8080/api"),
    _harmless("readiness probe", "liveness probe", "startup probe", "probe failed", "probe errored"),
    _harmless(
        "mountvolume", "unmountvolume", "unattached volumes", "unmounted volumes", "nestedpendingoperations"
    ),
    _harmless("back-off restarting failed", "crashloopbackoff", without=PULLING),
    _harmless("failed to get stats", "failed to get container stats", "cadvisor", "partial failure issuing"),
    _harmless("failed to get system container stats", "imagefs stats", "summary stats"),
)

_REGISTRIES = (
    _harmless(  # the first half of every login: asked without a token, told to fetch one
        "authorization token required",
        "basic authentication challenge",
        with_all=("error authorizing context",),
    ),
    _harmless("unauthorized", matching=re.compile(r"^unauthorized$")),  # containerd about the same
    _harmless("is buffered to a temporary file", "error statting local store"),
    _harmless("while ssl handshaking, client"),  # a scanner at nginx's door
    _harmless("quota_usage", with_all=("statement:",)),
    _harmless("duplicate key value violates unique constraint"),
    _harmless("closed keepalive connection"),
    _harmless("superfluous response.writeheader"),
    _harmless('do register result:{"code":200'),
)

_KERNEL = (
    _harmless("errors=remount-ro", "mounted filesystem", "mounting ext4", without=("read-only: ", "error (")),
    _harmless("i/o error, dev fd0", "i/o error, dev sr0", "dev fd0, sector", "dev sr0, sector"),
    _harmless(
        "overlayfs: missing 'lowerdir'", "overlayfs: upper fs does not support", "overlayfs: null uuid"
    ),
)

RULES: Tuple[Rule, ...] = (*_PROGRESS, *_RUNTIMES, *_CLUSTER, *_REGISTRIES, *_KERNEL)
