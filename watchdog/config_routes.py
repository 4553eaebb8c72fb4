"""The part of the configuration that names other ways to registries.

routes:
  - {registry: harbor.example, alternative: 10.0.0.9}
  - {registry: registry.lan:5000, alternative: "http://10.0.0.9"}

The alternative is an address only: it stands for the registry's name in the file
of host names, which knows no ports, so it must serve at the registry's own port.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Dict, Tuple

from watchdog.yamlfile import Value

HTTPS_PORT, HTTP_PORT = 443, 80


@dataclass(frozen=True)
class Route:
    """`registry`: as images name it.  `plain`: it speaks HTTP without TLS."""

    registry: str
    address: str
    plain: bool = False

    @property
    def host(self) -> str:
        """The registry's name without its port."""
        return self.registry.partition(":")[0]

    @property
    def port(self) -> int:
        """At which the registry, and so the alternative, is asked."""
        port = self.registry.partition(":")[2]
        return int(port) if port else HTTP_PORT if self.plain else HTTPS_PORT


def read_routes(value: Value) -> Tuple[Route, ...]:
    """At most one route for each name of a host."""
    found: Dict[str, Route] = {}
    for one in value.items():
        route = _route(one)
        if route.host in found:
            raise one.wrong(f"two routes are for {route.host}: a name has one address at a time")
        found[route.host] = route
    return tuple(found.values())


def _route(value: Value) -> Route:
    section = value.section(("registry", "alternative"))
    if len(section) != 2:
        raise value.wrong(f"{value.name} needs a registry and an alternative")
    plain, address = _address(section["alternative"])
    return Route(_registry(section["registry"]), address, plain)


def _registry(value: Value) -> str:
    found = value.text("a registry such as harbor.example or registry.lan:5000").lower()
    host, _, port = found.partition(":")
    is_name = re.fullmatch(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*", host) and not re.fullmatch(r"[0-9.]+", host)
    if not is_name or (":" in found and not re.fullmatch("[0-9]{1,5}", port)):
        raise value.wrong(
            f'{value.name} cannot be "{found}": write HOST or HOST:PORT as image references have it'
        )
    return found


def _address(value: Value) -> Tuple[bool, str]:
    found = value.text("an address such as 10.0.0.9")
    scheme, mark, rest = found.partition("://")
    if mark and scheme not in ("http", "https"):
        raise value.wrong(
            f'{value.name} cannot be "{found}": write an address, or http://ADDRESS without TLS'
        )
    text = rest if mark else found
    try:
        return scheme == "http" and bool(mark), str(ipaddress.ip_address(text))
    except ValueError:
        raise value.wrong(
            f'{value.name} cannot be "{found}": write an address without a port, such as 10.0.0.9; '
            "it must serve at the registry's own port"
        ) from None
