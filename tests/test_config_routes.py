"""The configuration of routes around registries: what is accepted, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Load
from watchdog.config_routes import Route
from watchdog.errors import ConfigError


def one(registry: str, alternative: str) -> str:
    return f'routes: [{{registry: "{registry}", alternative: "{alternative}"}}]'


@pytest.mark.parametrize(
    ("registry", "alternative", "route", "port"),
    [
        ("Harbor.example", "10.0.0.9", Route("harbor.example", "10.0.0.9"), 443),
        ("harbor.example", "https://10.0.0.9", Route("harbor.example", "10.0.0.9"), 443),
        ("registry.lan:5000", "http://10.0.0.9", Route("registry.lan:5000", "10.0.0.9", True), 5000),
        ("registry.lan", "http://10.0.0.9", Route("registry.lan", "10.0.0.9", True), 80),
        ("harbor.example", "2001:db8::9", Route("harbor.example", "2001:db8::9"), 443),
    ],
)
def test_a_route(load: Load, registry: str, alternative: str, route: Route, port: int) -> None:
    assert load(one(registry, alternative)).routes == (route,)
    assert (route.port, route.host) == (port, route.registry.partition(":")[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (one("harbor.example", "10.0.0.9:443"), "without a port"),
        (one("harbor.example", "other.example"), "write an address"),
        (one("harbor.example", "ftp://10.0.0.9"), "http://ADDRESS"),
        (one("https://harbor.example", "10.0.0.9"), "as image references have it"),
        (one("harbor.example/project", "10.0.0.9"), "as image references have it"),
        (one("10.0.0.1", "10.0.0.9"), "as image references have it"),
        ("routes: [{registry: harbor.example}]", "needs a registry and an alternative"),
        (
            "routes: [{registry: a.example, alternative: 10.0.0.9}, "
            "{registry: 'a.example:5000', alternative: 10.0.0.8}]",
            "one address at a time",
        ),
    ],
)
def test_a_mistake_is_named_with_what_to_write(load: Load, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as error:
        load(text)
    assert "config.yaml:1" in str(error.value)


def test_there_is_none_by_default_and_it_is_off_until_it_is_named(load: Load) -> None:
    loaded = load("mode: enforce")
    assert loaded.routes == () and loaded.hosts_file == Path("/etc/hosts")
    assert "route_around" not in {each.value for each in loaded.policy.remedies_on}
    named = load("remedies: {route_around: on}")
    assert "route_around" in {each.value for each in named.policy.remedies_on}
