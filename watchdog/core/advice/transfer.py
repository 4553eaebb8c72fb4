"""Advice about transfers that are cut: by size, by time, again and again, or whose resume is refused."""

from __future__ import annotations

from watchdog.core.advice.record import Advice, Elsewhere

_ATTEMPTS = (
    "If each attempt gets further, more of them suffice: max-download-attempts in /etc/docker/daemon.json "
    "and a restart of dockerd, which stops containers unless live-restore is on (docker >= 24 and 19.03 make "
    "5 attempts, 20.10 and 23.0 make 6)."
)
_BYPASS = (
    "Go around the device: a direct name of the registry, or a backend behind it in /etc/hosts (same name "
    "and certificate) or in /etc/containerd/certs.d/REGISTRY/hosts.toml. First check that the direct path "
    "answers 206 to a request with Range: bytes=0-0."
)
_NO_SIGHUP = "Do not rely on SIGHUP for max-download-attempts: dockerd logs the new value and keeps the old."
_NO_CLIENT_KILL = (
    "Do not kill the pulling client and start again: all its layers are thrown away, and it starts at zero."
)

SIZE_LIMIT = Advice(
    headline="Large layers are cut at about 1 GiB; smaller ones arrive",
    likely=(
        "nginx as load balancer buffers the layer into a temporary file, because its client (the node or "
        "the cache) reads slower than the registry sends. At proxy_max_temp_file_size (1024m) it stops "
        "reading, the registry's side times out after 60 s and resets, and nginx ends the answer short. "
        "{evidence}"
    ),
    here=(
        "Any layer below 1 GiB works: a smaller layer is a way out for those who build the image.",
        _BYPASS,
        "If a pull-through cache is in between, take it out for this registry: a cold cache ignores Range, "
        "so each cut starts the layer at zero. registry-mirrors in daemon.json, then SIGHUP; or rename its "
        "hosts.toml.",
        _ATTEMPTS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the load balancer",
            "nginx: `proxy_max_temp_file_size 0;` or `proxy_buffering off;` in the location of /v2/, and "
            "`proxy_read_timeout 900s; proxy_send_timeout 900s;`. ingress-nginx: the annotations "
            'nginx.ingress.kubernetes.io/proxy-buffering: "off" and proxy-read-timeout: "900".',
        ),
        Elsewhere(
            "whoever runs the cache",
            "let it talk to the registry directly, not through that load balancer.",
        ),
    ),
    never=(
        "Do not only raise the load balancer's time-outs: the file stays full at 1 GiB.",
        "Do not delete images or caches: the bytes that arrived are good.",
        _NO_SIGHUP,
    ),
)

EQUAL_SIZES = Advice(
    headline="Transfers end at the same number of bytes, again and again",
    likely=(
        "{evidence} That is no time limit: a device on the way limits the size of an answer, or has no room "
        "for more of it."
    ),
    here=(_BYPASS, "Smaller layers arrive: a way out for those who build the image."),
    elsewhere=(
        Elsewhere(
            "whoever runs the proxy, cache or load balancer",
            "nginx: `proxy_max_temp_file_size 0;`, and room under proxy_temp_path and the cache's path; an "
            "inspecting proxy or firewall: its largest scanned or passed download.",
        ),
    ),
    never=("Do not raise time-outs for it: the time is not what the attempts have in common.", _NO_SIGHUP),
)

TIME_LIMIT = Advice(
    headline="Transfers are ended by a time limit on the way",
    likely="{evidence} That is {device}: {parameter}.",
    here=(
        "Fewer layers at a time get more of the line each: max-concurrent-downloads or "
        "max-concurrent-uploads in /etc/docker/daemon.json, then SIGHUP.",
        _BYPASS,
        _ATTEMPTS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the proxy or load balancer",
            "{parameter}: raise it to 900 s for /v2/ (nginx: `proxy_read_timeout 900s; proxy_send_timeout "
            "900s; send_timeout 900s;`). nginx counts the gap between two reads or writes; Envoy, Google's "
            "load balancer, Traefik and Harbor's proxy cache (REGISTRY_HTTP_CLIENT_TIMEOUT, 30 min) count "
            "the whole request.",
        ),
        Elsewhere(
            "whoever runs what is behind it",
            "a gap limit means that the registry or its storage sent nothing for that long: look there, too.",
        ),
    ),
    never=(_NO_CLIENT_KILL, _NO_SIGHUP),
)

RANGE_UNSUPPORTED = Advice(
    headline="A download broke off, and its resume was refused: it starts at zero each time",
    likely=(
        "Something on the way answers a Range request with the whole layer (200 instead of 206): a cold "
        "pull-through cache, a Dragonfly client before 1.3.11, or a Harbor proxy-cache project. {evidence} "
        "`unexpected EOF` and `expected HTTP 206` in turn are the mark of a cold cache whose upstream is "
        "cut."
    ),
    here=(
        "The second message hides the first: look for what cut the download (the lines with EOF or reset).",
        "Take the cache or mirror out for this registry (registry-mirrors in daemon.json, then SIGHUP; or "
        "rename its hosts.toml), if the registry itself answers 206 to Range: bytes=0-0.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the cache",
            "its own upstream connection is cut: let it reach the registry without the load balancer; "
            "Dragonfly: client 1.3.11 or newer.",
        ),
    ),
    never=(
        "Do not read a digest mismatch through a cache as a bad disk: after an upstream failure the cache "
        "appends its JSON error to the layer's bytes.",
        _NO_CLIENT_KILL,
    ),
)

RESET_LOOP = Advice(
    headline="Connections to the registry break again and again",
    likely=(
        "Something between this node and the registry ends connections. {evidence} The lines do not show a "
        "common size or duration, so no limit can be named: a bad path, a device that loses state, or a "
        "registry that restarts."
    ),
    here=(
        "If the pull completes in the end, leave it: the runtime resumes by Range at the byte where it was "
        "cut.",
        "On the node: `ss -tnpoi` on the runtime's connection tells silence from loss; pull-watchdog does "
        "that live.",
        _ATTEMPTS,
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the path and the load balancer",
            "which device closes: nginx and haproxy give the client a FIN whatever happened behind them, "
            "so a RST at the node comes from a firewall, a layer-4 device or a killed host.",
        ),
    ),
    never=(_NO_CLIENT_KILL,),
)

NET_RESET = Advice(
    headline="A connection broke off once",
    likely="A single break of the connection. {evidence}",
    here=("Nothing, if the pull went on: the runtime tries again by itself and resumes where it was.",),
    never=(_NO_CLIENT_KILL,),
)

NET_TIMEOUT = Advice(
    headline="The registry could not be reached in time",
    likely=(
        "The connection, the TLS handshake or the answer's first byte did not come in time: an overloaded "
        "or filtered endpoint, or a path that loses packets (an MTU, too). {evidence}"
    ),
    here=(
        "From the node: `curl -sv https://REGISTRY/v2/` has to answer 200 or 401 within a second or two.",
        "If a proxy is needed: HTTPS_PROXY in a drop-in of docker.service; its URL begins with http:// in "
        "most cases.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the registry or its front", "how long /v2/ and the token service take to answer."
        ),
    ),
)

NET_REFUSED = Advice(
    headline="Nobody listens at the registry's address, or there is no route to it",
    likely="The endpoint is down, has moved, or a firewall rejects. {evidence}",
    here=(
        "Check the address in the lines: is it the registry, a mirror on this node, or a peer?",
        "A mirror that is down costs one try per layer and is passed over for docker.io only.",
    ),
    elsewhere=(Elsewhere("whoever runs that endpoint", "it does not accept connections at {addresses}."),),
)

DOWNLOAD_STALLED = Advice(
    headline="A pull made no progress and was given up",
    likely=(
        "The registry, a mirror or a proxy stopped sending without closing the connection. Neither dockerd "
        "nor containerd has a read time-out, so only the progress guard of the CRI or of the kubelet ended "
        "it. {evidence}"
    ),
    here=(
        "Look at what stalls first: a cut or stalled download, a mirror, a layer that another pull holds.",
        "A mirror that downloads whole layers first (Dragonfly 1) is silent for minutes and healthy: look "
        "whether its files grow before you raise image_pull_progress_timeout.",
    ),
    elsewhere=(
        Elsewhere("whoever runs the mirror or registry", "requests that are accepted and then get no bytes."),
    ),
    never=(_NO_CLIENT_KILL,),
)

LAYER_LOCKED = Advice(
    headline="A pull waits for a layer that another pull holds",
    likely=(
        "Somebody else fetches or unpacks the same layer and does not get on. {evidence} The age of the "
        "lock is the age of that hang."
    ),
    here=(
        "Find the holder: the oldest pull of an image with this layer, its socket and its unpigz. Free "
        "that one.",
        "containerd 2.1.0 to 2.1.3 leaks its download slots and then hangs silently: upgrade to 2.1.4, or "
        "restart containerd (containers go on).",
    ),
    never=(
        "Do not kill the waiting client: it is not the one that hangs, and the layer stays unpullable "
        "until the holder is gone.",
        "Never send containerd a SIGHUP: it dies of it.",
    ),
)
