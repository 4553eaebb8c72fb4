"""Advice about registries: Harbor's four ways to fail a push, and plain answers.

Harbor's quota switch moved: PUT /api/internal/switchquota exists in 1.9 to
2.3 only, the configurations API does it since.  A person makes these calls,
with a person's credentials.
"""

from __future__ import annotations

from watchdog.core.advice.record import Advice, Elsewhere

_FEWER = (
    "Fewer uploads at a time: max-concurrent-uploads 1 or 2 in /etc/docker/daemon.json, then SIGHUP. Push "
    "one image of a project after the other."
)
_HEALTH = (
    "GET /api/v2.0/health needs no login and always answers 200: read the status of each component in it."
)

QUOTA_LOCK = Advice(
    headline="Pushes wait for each other in Harbor: the project's quota lock",
    likely=(
        "Every blob and manifest upload updates the project's one quota row; pushes to one project queue "
        "for it, longest at the manifest's PUT, until a proxy gives up with 499 or 504 while all "
        "components are healthy. {evidence}"
    ),
    here=(_FEWER, "Space the retries: each one queues again."),
    elsewhere=(
        Elsewhere(
            "Harbor's administrator, Harbor 1.9 to 2.3",
            'PUT /api/internal/switchquota with {"enabled":false} (1000 s became 40 to 60 s).',
        ),
        Elsewhere(
            "Harbor's administrator, Harbor 2.4 and newer",
            'PUT /api/v2.0/configurations with {"quota_per_project_enable":false}; from 2.9 better: '
            "core.quotaUpdateProvider: redis (QUOTA_UPDATE_PROVIDER=redis).",
        ),
        Elsewhere(
            "Postgres's administrator",
            "pg_stat_activity with wait_event_type Lock on quota and quota_usage shows it.",
        ),
    ),
    never=(
        "Do not rely on the environment variable QUOTA_PER_PROJECT_ENABLE: by the code it has no effect.",
        "Do not switch quota on again in working hours: up to 2.3 Harbor is read-only while it counts "
        "anew; run syncquota after it, or projects made meanwhile fail with `blob upload unknown`.",
    ),
)

DATABASE = Advice(
    headline="The registry answers 5xx: Harbor's database or its connections fail",
    likely=(
        "Core cannot use Postgres or Redis: restarted, out of connections, or a pool of stale ones. The "
        "client only sees `internal server error`. {evidence}"
    ),
    here=(_HEALTH, "Retry with a back-off of up to 10 minutes; a stale pool turns over within 5.", _FEWER),
    elsewhere=(
        Elsewhere(
            "Harbor's administrator",
            "database.maxOpenConns x the number of core, jobservice and exporter replicas below Postgres's "
            "max_connections, maxIdleConns equal to maxOpenConns; restart core if it lasts longer than 5 "
            "minutes; liveness probes slow enough not to restart a loaded core.",
        ),
    ),
    never=("Do not change this node's configuration for it: nothing here is wrong.",),
)

STORAGE = Advice(
    headline="The registry answers 5xx: its storage (S3 or the like) fails or throttles",
    likely=(
        "The registry's storage driver got an error: 500 on PATCH and PUT while HEAD and GET are fine. "
        "{evidence}"
    ),
    here=(_FEWER, "Space the retries: the registry does not repeat a throttled upload part by itself."),
    elsewhere=(
        Elsewhere(
            "whoever runs the registry",
            "the bucket's request limits and region; a larger storage.s3.chunksize means fewer requests; "
            "several registry replicas need storage that all see at once (`blob upload unknown` otherwise).",
        ),
    ),
    never=("Do not run garbage collection on it while pushes fail: it adds requests.",),
)

INGRESS_404 = Advice(
    headline="404 where a registry should answer: the ingress has no backend",
    likely=(
        "The answer came from the ingress or its default backend, not from the registry: it is being "
        "reloaded or has lost its endpoints, as after a restart of the API server or of core. {evidence}"
    ),
    here=(
        "Wait until GET /v2/ answers 401 with Www-Authenticate again, then repeat: dockerd does not retry "
        "this answer.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the cluster",
            "readiness probes and a PodDisruptionBudget for core, more than one replica; nginx.ingress."
            "kubernetes.io annotations do not help here.",
        ),
    ),
    never=("Do not take it for a missing image: a registry's 404 is JSON.",),
)

REGISTRY_DOWN = Advice(
    headline="Harbor's core does not reach its registry component",
    likely=(
        "502 with an empty body on blobs: the registry container is down, restarted or out of memory. "
        "{evidence}"
    ),
    here=(_HEALTH, "Retry with a back-off.", _FEWER),
    elsewhere=(
        Elsewhere(
            "Harbor's administrator",
            "the registry's memory limit and restarts; the service behind registry:5000.",
        ),
    ),
)

OVERLOADED = Advice(
    headline="The registry is overloaded and refuses work",
    likely="It answers 429 or 503, or its storage asks to slow down. {evidence}",
    here=(_FEWER, "Back off; do not retry at once."),
    elsewhere=(
        Elsewhere("whoever runs the registry", "its limits against the number of nodes that pull and push."),
    ),
)

SERVER_ERROR = Advice(
    headline="The registry, or what stands before it, answers with an error",
    likely=(
        "{evidence} The lines do not say why: the cause is in the log of the registry, of Harbor's core, "
        "or of the proxy."
    ),
    here=(
        "Find who answered: `curl -sv https://REGISTRY/v2/` gives 401 with Www-Authenticate from a "
        "registry, HTML from a proxy. 502 at once and with an empty body from a mirror on 127.0.0.1:65001 "
        "is Dragonfly 1 without a supernode.",
        "Retry with a back-off.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the registry",
            "the times and statuses below; 504 after 60 s: `proxy_read_timeout 900s;` in nginx, and why it "
            "was silent.",
        ),
    ),
)

PUSH_RETRY_LOOP = Advice(
    headline="A push is tried again and again",
    likely=(
        "The registry's side refuses or drops the upload each time; a retry of a push starts the layer at "
        "zero. {evidence}"
    ),
    here=(
        _FEWER,
        "Cut at about 60 s each time: Traefik 2.11.2 or newer. At 100 s: Cloudflare (524); use a direct "
        "name.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the proxy",
            "Traefik: entryPoints.<name>.transport.respondingTimeouts.readTimeout 600s or 0; nginx: "
            "`client_max_body_size 0; proxy_request_buffering off; proxy_send_timeout 900s;`. A registry "
            "behind TLS termination: REGISTRY_HTTP_HOST, or X-Forwarded-Proto, or its upload addresses are "
            "wrong.",
        ),
    ),
)

RATE_LIMIT = Advice(
    headline="The registry limits how often this address may pull",
    likely="The pull limit of the account or of the address is used up. {evidence}",
    here=(
        "Stop retrying until the time in Retry-After (or RateLimit-Reset); containerd retries 429 at once "
        "up to five times and burns the limit by that.",
        "Log in, or pull through a mirror.",
    ),
    elsewhere=(Elsewhere("whoever owns the account", "a plan or a pull-through cache for these nodes."),),
    never=("Do not take the mirror out now: it is what saves pulls.",),
)

AUTH = Advice(
    headline="The registry refuses: credentials, rights, quota, or a name that does not exist",
    likely=(
        "401, 403 or `denied`. dockerd says the same for a missing repository as for a missing right. "
        "{evidence}"
    ),
    here=(
        "Check the image's name first, then the login (`docker login`, imagePullSecrets, an expired ECR "
        "token).",
        "`The system is in read only mode`: Harbor's garbage collection or quota count runs; look again "
        "every minute.",
    ),
    elsewhere=(
        Elsewhere(
            "the project's owner",
            "`over the quota`, `exceed the configured upper limit`: a larger project quota.",
        ),
    ),
    never=("Do not retry it in a loop: it locks accounts.",),
)

NOT_FOUND = Advice(
    headline="The registry does not have what was asked for",
    likely="The image, tag, platform or blob is not there. {evidence}",
    here=(
        "Check name, tag and platform (`docker manifest inspect IMAGE`).",
        "`blob unknown` or `blob upload unknown` in a push: push once more, one layer at a time.",
    ),
    elsewhere=(
        Elsewhere(
            "whoever runs the registry",
            "`blob upload unknown` comes and goes: replicas without shared storage or sticky sessions, or "
            "purged uploads.",
        ),
    ),
    never=("Do not retry as it is.",),
)
