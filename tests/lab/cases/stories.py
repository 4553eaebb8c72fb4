"""Whole stories: what the agent names while it happens, `explain` names afterwards from the logs.

The devices log where they do in the field, and the agent follows those logs.
What stands in for Harbor's core and its registry writes their words
(tests/lab/harbor.py has their sources).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.lab.agent import PROJECT, PYTHON, Agent
from tests.lab.cases import Case, Measured, check
from tests.lab.cases.pushes import INGRESS, INTERNAL, MANIFEST, SOON, UPLOADS, Scene
from tests.lab.harbor import CORE_WORDS, REGISTRY_WORDS, health_body
from tests.lab.images import MB, OTHER, SMALL, Image, Layer
from tests.lab.lab import Lab
from tests.lab.nginx import Front, Nginx
from tests.lab.proxy import BEFORE_HEAD, Ending, FaultProxy, Rule
from tests.lab.pull_through import PullThrough

SIXTY = Image("sixty", (Layer(43, 60 * MB),))
HEALTH = "/api/v2.0/health"
LIMIT_S = 6
TOLD_WITHIN_S = 120.0


# --- a large layer through a cache and a load balancer that cuts at its time-out -----------------


def cut_by_a_load_balancer() -> Measured:
    """dockerd, a pull-through cache, nginx with its read time-out, and a registry that pauses."""
    with Lab() as lab, ExitStack() as stack:
        lab.registry.publish(SIXTY)
        proxy = stack.enter_context(FaultProxy(lab))
        proxy.rule(Rule(ending=Ending.STALL, after_bytes=5 * MB, size_at_least=MB))
        front = Front(proxy.port, (f"proxy_read_timeout {LIMIT_S}s",))
        nginx = stack.enter_context(Nginx(lab, [front]))
        cache = stack.enter_context(PullThrough(lab, nginx.port))
        logs = {"balancer": nginx.folder / "error.log", "cache": cache.log}
        agent = stack.enter_context(Agent(lab, logs=_followed(logs)))
        began = time.monotonic()
        lab.client("pull", cache.reference(SIXTY))
        incident = agent.incident("time_limit", deadline_s=TOLD_WITHIN_S)
        named = time.monotonic() - began
        check(any("nginx" in one for one in incident["advice"]), f"the device is named: {incident['advice']}")
        told = explained([lab.dockerd.log, *logs.values()])
        check("[time_limit" in told and "proxy_read_timeout" in told, f"explain names both: {told}")
        return Measured({"named live": named}, "explain: time_limit, proxy_read_timeout")


# --- Harbor and its four ways to fail a push -----------------------------------------------------


def quota_lock() -> Measured:
    """A manifest that waits for the project's quota row, until the gateway gives up."""
    with _harbor(sick=()) as (one, logs):
        one.proxy.rule(
            _health(()), Rule(path=MANIFEST, method="PUT", after_bytes=BEFORE_HEAD, ending=Ending.STALL)
        )
        one.push(SMALL)
        named = _named(one, "push_commit_stalled", "quota_lock", "configurations")
        _write(
            logs["nginx"],
            f'10.40.1.7 - - [{_access_time()}] "PUT /v2/faulty/manifests/1 HTTP/1.1" 504 160 "-" '
            '"docker/20.10.24 go/go1.19.8" 900.001 900.001 .',
        )
        _explained(one, logs, "push_commit_stalled, quota_lock", "quota_per_project_enable")
        return named


def ingress_404() -> Measured:
    """The ingress has lost its backend, and answers everybody."""
    with _harbor(sick=()) as (one, logs):
        one.proxy.rule(
            Rule(path="/api/", status=404, body=INGRESS),
            Rule(path=UPLOADS, method="POST", status=404, body=INGRESS),
        )
        one.push(SMALL)
        named = _named(one, "registry_error", "ingress_404", "PodDisruptionBudget")
        _explained(one, logs, "registry_error, ingress_404", "401")
        return named


def database() -> Measured:
    """Core has no connection to Postgres left: 500 for everybody."""
    with _harbor(sick=("database",)) as (one, logs):
        one.proxy.rule(_health(("database",)), Rule(path=UPLOADS, method="POST", status=500, body=INTERNAL))
        _write(logs["core"], CORE_WORDS.format(time=_iso_time()))
        one.push(SMALL)
        named = _named(one, "registry_error", "database", "maxOpenConns")
        _explained(one, logs, "registry_error, database", "max_connections")
        return named


def storage() -> Measured:
    """The bucket behind the registry throttles: 500 on what is written, while all else is well."""
    with _harbor(sick=()) as (one, logs):
        one.proxy.rule(_health(()), Rule(path=UPLOADS, method="PUT", status=500, body=INTERNAL))
        _write(logs["registry"], REGISTRY_WORDS.format(time=_iso_time()))
        one.push(SMALL)
        named = _named(one, "registry_error", "storage", "chunksize")
        _explained(one, logs, "registry_error, storage", "request limits")
        return named


@contextmanager
def _harbor(sick: Sequence[str]) -> Iterator[tuple[Scene, dict[str, Path]]]:
    """A dockerd with images to push to a Harbor, whose logs are followed and whose health is asked for."""
    with Lab() as lab:
        for image in (SMALL, OTHER):
            check(lab.pull(image).wait(90.0) == 0, f"{image.repository} is there")
        logs = {name: lab.root / f"{name}.log" for name in ("core", "registry", "nginx")}
        for path in logs.values():
            path.touch()
        with FaultProxy(lab) as proxy:
            proxy.rule(_health(sick))
            options: dict[str, Any] = {"harbor": [f"http://localhost:{proxy.port}"], "logs": _followed(logs)}
            with Agent(lab, thresholds=SOON, **options) as agent:
                yield Scene(lab, proxy, agent, proxy.port), logs


def _health(sick: Sequence[str]) -> Rule:
    return Rule(path=HEALTH, status=200, body=health_body(sick), content_type="application/json")


def _named(one: Scene, cause: str, reason: str, right_fix: str) -> Measured:
    """The agent names it live, with whose turn it is."""
    measured = one.told(cause, reason)
    advice = " ".join(one.agent.incident(cause)["advice"])
    check(right_fix in advice, f"{right_fix} is told: {advice}")
    return measured


def _explained(one: Scene, logs: dict[str, Path], cause: str, right_fix: str) -> None:
    told = explained([one.lab.dockerd.log, *logs.values()])
    check(f"[{cause}]" in told, f"explain says {cause}: {told}")
    check(right_fix in told, f"explain says {right_fix}: {told}")


# --- both -------------------------------------------------------------------------------------------


def explained(logs: Sequence[Path]) -> str:
    """What `explain` says of these logs, on one line; that something is wrong is its exit status."""
    call = [PYTHON, "-m", "watchdog", "explain", *map(str, logs)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60.0, cwd=PROJECT, check=False)
    check(done.returncode == 4, f"explain finds something: {done.returncode}, {done.stdout} {done.stderr}")
    return " ".join(done.stdout.split())


def _followed(logs: dict[str, Path]) -> list[dict[str, str]]:
    return [{"name": name, "file": str(path)} for name, path in logs.items()]


def _write(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text + "\n")


def _iso_time() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _access_time() -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())


CASES = [
    Case(
        "story: a layer through a cache and a load balancer with a time-out",
        "time_limit live; explain names it and proxy_read_timeout",
        cut_by_a_load_balancer,
    ),
    *(
        Case(f"story: a push to Harbor, {what}", f"{wanted}; explain names it too", partial(run))
        for what, wanted, run in (
            ("its quota's lock", "push_commit_stalled, quota_lock", quota_lock),
            ("404 from the ingress", "registry_error, ingress_404", ingress_404),
            ("its database down", "registry_error, database", database),
            ("its storage throttled", "registry_error, storage", storage),
        )
    ),
]
