"""Who is in the middle of something that a restart of the runtime would cut off.

A `docker exec` shows in the API as a running exec of its container; an attached
terminal and a classic build show only as the client that waits for them, so
the clients that are connected now are looked at too.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence
from urllib.parse import quote

from watchdog.act import api
from watchdog.act.identity import Subject
from watchdog.act.settings import ActSettings
from watchdog.errors import WatchdogError
from watchdog.host import birth
from watchdog.host.unix_sockets import Connections

_PROGRAMS = frozenset({"docker", "docker-compose", "docker-buildx", "buildctl"})
_CUT_OFF = frozenset(
    {"attach", "build", "buildx", "commit", "cp", "exec", "export", "import", "load", "push", "run", "save"}
)
_OPTIONS_WITH_VALUE = frozenset({"-H", "--host", "-c", "--context", "--config", "-l", "--log-level"})
_MOST_CONTAINERS = 500


def of_clients(settings: ActSettings, daemon: Subject) -> List[str]:
    """A sentence for each connected docker command line that waits for something other than a pull."""
    found = []
    for key, is_up in Connections(settings.socket_path or "").clients(daemon.process).items():
        try:
            verb = verb_of(birth.arguments(key)) if is_up else ""
        except WatchdogError:
            verb = "of a client that cannot be looked at"
        if verb in _CUT_OFF or " " in verb:
            found.append(f"docker {verb} (pid {key.pid}) is in progress")
    return found


def of_execs(settings: ActSettings) -> List[str]:
    """A sentence for each running exec of a container.  Raises Unavailable."""
    found = []
    _, containers = api.ask(settings, "GET", f"/containers/json?limit={_MOST_CONTAINERS}")
    for one in containers if isinstance(containers, list) else []:
        name = str(api.field(one, "Id"))
        _, container = api.ask(settings, "GET", f"/containers/{quote(name)}/json")
        for each in api.field(container, "ExecIDs") or []:
            _, session = api.ask(settings, "GET", f"/exec/{quote(str(each))}/json")
            if api.field(session, "Running"):
                found.append(f"an exec in container {name[:12]} is in progress")
    return found


def verb_of(words: Sequence[str]) -> str:
    """The docker command in an argv, the first word behind the global options; "" for other programs."""
    if not words or Path(words[0]).name not in _PROGRAMS:
        return ""
    rest = iter(words[1:])
    for word in rest:
        if word in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""
