"""route_around: let a registry's name lead to another machine, which the operator gave, for a while.

For a way that cuts every transfer: a balancer with a limit, a cache that ignores
ranges.  One line in the file of host names; the runtime's next connection takes
it, those that are up go on.  The line ends with its time, or by `revert`.

Before that the other machine must show that it is a registry for that name, has
the image, and serves ranges.  What stands in the file can be seen at any time, so
a change that was cut short is simply looked at.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator, Tuple

from watchdog.act import hosts_file
from watchdog.act.remedy import Context, Made, Plan, RemedyCode, Trace
from watchdog.act.runtime import held_runtime
from watchdog.act.settings import ActSettings
from watchdog.act.view import view_of
from watchdog.config_routes import Route
from watchdog.core.causes.finding import Cause
from watchdog.core.observation import Outcome
from watchdog.core.policy import Remedy
from watchdog.core.reference import Reference, parse_reference
from watchdog.errors import Refused, Unavailable
from watchdog.host import birth
from watchdog.host.alternative import Alternative, check

_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


@dataclass(frozen=True)
class Detour:
    """The line, and the name that it gives an address."""

    host: str
    line: str


def plan(context: Context) -> Plan[Detour]:
    """Find the route, and check that the file can take it and that it leads to what is wanted."""
    settings = context.settings
    route, image = _route(context)
    with _same_file(context):
        hosts_file.check(settings.hosts_file, route.host)
        shown = _check_alternative(route, image)
    expires_wall_ns = context.wall_ns + settings.expiries_ns[Remedy.ROUTE_AROUND]
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires_wall_ns // 10**9))
    line = hosts_file.line_of(route.address, route.host, until)
    return Plan(
        steps=(f'put "{line}" into {settings.hosts_file}: {shown}',),
        memory=Detour(route.host, line),
        expires_wall_ns=expires_wall_ns,
    )


def effect(context: Context, intended: Plan[Detour]) -> Made:
    """Write the line."""
    path, memory = context.settings.hosts_file, intended.memory
    with _same_file(context):
        hosts_file.add(path, memory.line, memory.host)
    return Made(Outcome.DONE, f"{memory.host} leads to {memory.line.split()[0]} from the next connection on")


def trace(context: Context, memory: Detour) -> Trace:
    """The line is there, or it is not."""
    return Trace.MADE if hosts_file.holds(context.settings.hosts_file, memory.line) else Trace.NONE


def undo(settings: ActSettings, memory: Detour) -> Made:
    """Take the line away; one that somebody has changed is theirs."""
    if hosts_file.remove(settings.hosts_file, memory.line):
        return Made(Outcome.DONE, f"{memory.host} leads where it did, from the next connection on")
    return Made(Outcome.DONE, f"our line for {memory.host} was gone from {settings.hosts_file} already")


# --- what must hold before ------------------------------------------------------------------


def _route(context: Context) -> Tuple[Route, Reference]:
    """The operator's route for the registry of an image that is held up."""
    names = (context.incident.image or "", *(one.image for one in context.incident.pulls))
    images = [one for one in map(parse_reference, names) if one is not None]
    if not images:
        raise Refused("which image is held up is not known, so its registry is not either")
    for image in images:
        for route in context.settings.routes:
            if route.registry == image.registry.lower():
                return route, _by_digest(context, image)
    raise Refused(f"the configuration has no route around {images[0].registry}")


def _by_digest(context: Context, image: Reference) -> Reference:
    known = (one.digest for one in context.incident.pulls if parse_reference(one.image) == image)
    digest = next((one for one in known if one), image.digest)
    return Reference(image.registry, image.path, image.tag, digest)


def _check_alternative(route: Route, image: Reference) -> str:
    try:
        return check(Alternative(route.host, route.address, route.port, route.plain), image)
    except Unavailable as error:
        raise Refused(f"the alternative is none: {error}") from error


@contextmanager
def _same_file(context: Context) -> Iterator[None]:
    """The runtime must read that very file, and not leave names to a proxy."""
    path = context.settings.hosts_file
    with held_runtime(context.settings, context.incident.daemon) as daemon:
        variables = birth.environment(daemon.key)
        if any(variables.get(name) for name in _PROXY_VARIABLES):
            raise Refused("the runtime goes through an HTTP proxy, which looks names up by itself")
        with view_of(daemon.key.pid) as theirs, view_of(os.getpid()) as ours:
            seen, mine = theirs.look(str(path)), ours.look(str(path))
        if seen is None or mine is None or seen.identity != mine.identity:
            raise Refused(f"the runtime does not read {path}: it lives in a root or container of its own")
        yield


ROUTE_AROUND = RemedyCode(
    name=Remedy.ROUTE_AROUND,
    causes=frozenset({Cause.RESET_LOOP, Cause.TIME_LIMIT, Cause.SIZE_LIMIT, Cause.RANGE_UNSUPPORTED}),
    memory=Detour,
    plan=plan,
    effect=effect,
    trace=trace,
    undo=undo,
)
