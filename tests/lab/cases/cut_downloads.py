"""Downloads that are cut again and again: by time, by size, at random, with resumes that are refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.cases.silent_downloads import LARGE, scene
from tests.lab.images import HUGE, MB, Image, Layer
from tests.lab.nginx import Front, Nginx
from tests.lab.proxy import Ending, Rule
from tests.lab.pull_through import PullThrough
from tests.lab.timeline import Timeline

SECOND_NS = 1_000_000_000
WITHIN_RATIO = 0.1
SIXTY = Image("sixty", (Layer(43, 60 * MB),))


def layers(**what: Any) -> Rule:
    """A rule for layers only: a config is a blob as well."""
    return Rule(size_at_least=MB, **what)


def behind_a_read_timeout(seconds: int) -> Measured:
    """A pull-through cache, nginx with proxy_read_timeout, and a registry that pauses."""
    with scene(SIXTY) as (lab, proxy, agent), ExitStack() as stack:
        proxy.rule(layers(ending=Ending.STALL, after_bytes=5 * MB))
        nginx = stack.enter_context(Nginx(lab, [Front(proxy.port, (f"proxy_read_timeout {seconds}s",))]))
        cache = stack.enter_context(PullThrough(lab, nginx.port))
        clock = Timeline()
        clock.mark("begun")
        lab.client("pull", cache.reference(SIXTY))
        incident = told(clock, agent, "time_limit")
        limited(incident, seconds * SECOND_NS, "proxy_read_timeout" if seconds == 60 else "")
        return Measured(
            {"time_limit": clock.between("begun", "told")}, f"T = {value_of(incident) / 1e9:.1f} s"
        )


def by_size() -> Measured:
    """Answers that end after the same bytes, whatever their rate."""
    with scene(SIXTY) as (lab, proxy, agent):
        rates = (6 * MB, MB, 2 * MB)
        proxy.rule(
            *(
                layers(ending=Ending.CLOSE, after_bytes=12 * MB, rate_bytes_per_s=rate, times=1)
                for rate in rates
            )
        )
        clock = Timeline()
        clock.mark("begun")
        lab.client("pull", proxy.reference(SIXTY))
        incident = told(clock, agent, "size_limit")
        limited(incident, 12 * MB, "")
        return Measured(
            {"size_limit": clock.between("begun", "told")}, f"N = {value_of(incident) / MB:.1f} MB"
        )


def by_a_temporary_file() -> Measured:
    """nginx reads a layer ahead into its temporary file until that is full; what is behind it gives up.

    What the client took before, and what the kernels held then, come on top: 10 to 60 MiB,
    which is why the limit is not smaller than this.
    """
    slow = ("set $rate 25m", "if ($http_range) { set $rate 15m; } limit_rate $rate")
    limit = ("proxy_max_temp_file_size 400m", "proxy_read_timeout 60s", *slow)
    behind = ("send_timeout 3s", "proxy_buffering off")
    with scene(HUGE) as (lab, _, agent), ExitStack() as stack:
        harbor = stack.enter_context(Nginx(lab, [Front(lab.registry.port, behind)], "harbor"))
        balancer = stack.enter_context(Nginx(lab, [Front(harbor.port, limit)], "balancer"))
        clock = Timeline()
        clock.mark("begun")
        lab.client("pull", balancer.reference(HUGE))
        incident = told(clock, agent, "size_limit", deadline_s=180.0)
        limited(incident, 400 << 20, "proxy_max_temp_file_size")
        return Measured({"size_limit": clock.between("begun", "told")}, f"N = {value_of(incident) >> 20} MiB")


def at_random() -> Measured:
    """RSTs at random places: a loop and no limit, and the pull gets through."""
    with scene(SIXTY) as (lab, proxy, agent):
        proxy.rule(
            layers(
                ending=Ending.RESET, after_bytes=5 * MB, upto_bytes=19 * MB, rate_bytes_per_s=6 * MB, times=4
            )
        )
        clock = Timeline()
        clock.mark("begun")
        pull = lab.client("pull", proxy.reference(SIXTY))
        told(clock, agent, "reset_loop")
        check(pull.wait(120.0) == 0, f"the pull completes: {pull.output[-300:]}")
        clock.mark("image")
        causes = {one["cause"] for one in agent.incidents()}
        check(causes == {"reset_loop"}, f"nothing else is told: {causes}")
        return Measured({one: clock.between("begun", one) for one in ("told", "image")})


def many_resumes() -> Measured:
    """A layer that can only come by many resumes, early FINs all the way: told, and it completes."""
    with scene(LARGE, dockerd_options=("--max-download-attempts=30",)) as (lab, proxy, agent):
        # dockerd waits 5 s more after each failure: 8 of them are three minutes.
        proxy.rule(layers(ending=Ending.CLOSE, after_bytes=20 * MB, upto_bytes=30 * MB, times=7))
        clock = Timeline()
        clock.mark("begun")
        pull = lab.client("pull", proxy.reference(LARGE))
        told(clock, agent, "reset_loop")
        check(pull.wait(300.0) == 0, f"the pull completes: {pull.output[-300:]}")
        clock.mark("image")
        causes = {one["cause"] for one in agent.incidents()}
        check("time_limit" not in causes, f"no time limit is told: {causes}")
        return Measured({one: clock.between("begun", one) for one in ("told", "image")})


def without_ranges() -> Measured:
    """A registry that ignores Range, with resets: named from the first refusal."""
    with scene(SIXTY) as (lab, proxy, agent):
        proxy.rule(layers(ending=Ending.RESET, after_bytes=5 * MB, ignore_range=True))
        clock = Timeline()
        clock.mark("begun")
        lab.client("pull", proxy.reference(SIXTY))
        incident = told(clock, agent, "range_unsupported")
        check(any("206" in one["text"] for one in incident["evidence"]), "dockerd's word is its evidence")
        return Measured({"range_unsupported": clock.between("begun", "told")})


def told(clock: Timeline, agent: Agent, cause: str, deadline_s: float = 120.0) -> dict[str, Any]:
    """The incident of this cause, once it is there; nothing was done, and people are told what to change."""
    incident = agent.incident(cause, deadline_s=deadline_s)
    clock.mark("told")
    check(not actions(agent), f"no action: {actions(agent)}")
    check(incident["advice"], "what to tell whom is in it")
    return incident


def value_of(incident: dict[str, Any]) -> int:
    return int(incident["target"]["limit"]["value"])


def limited(incident: dict[str, Any], value: int, directive: str) -> None:
    """The limit is right within 10 %, and its directive is named."""
    seen = value_of(incident)
    check(abs(seen - value) <= WITHIN_RATIO * value, f"{seen} is within 10 % of {value}")
    check(directive in " ".join(incident["advice"]), f"{directive} is named: {incident['advice']}")


_TRIED: list[tuple[str, str, Callable[[], Measured]]] = [
    (
        "a pull-through registry, nginx with proxy_read_timeout 6 s, a registry that pauses",
        "time_limit, T right within 10 %",
        lambda: behind_a_read_timeout(6),
    ),
    ("answers that end after 12 MB, at any rate", "size_limit, N right within 10 %", by_size),
    (
        "nginx with proxy_max_temp_file_size 400m and a slow client",
        "size_limit, N right within 10 %",
        by_a_temporary_file,
    ),
    ("RST at random places", "reset_loop, no limit; the pull completes", at_random),
    ("early FINs, a layer that needs 8 attempts", "reset_loop; the pull completes", many_resumes),
    ("a registry that ignores Range, with resets", "range_unsupported at the first refusal", without_ranges),
]
CASES = [Case(name, wanted, run) for name, wanted, run in _TRIED]
