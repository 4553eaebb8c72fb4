"""Who is in the middle of something that a restart of the runtime would cut off.

A `docker exec` shows in the API as a running exec of its container; an attached
terminal and a classic build show only as the client that waits for them, so
the docker command lines that run now are looked at too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import quote

from watchdog.act import api
from watchdog.act.settings import ActSettings
from watchdog.core.observation import ProcessKey
from watchdog.errors import WatchdogError
from watchdog.host import birth, proc

_PROGRAMS = frozenset({"docker", "docker-compose", "docker-buildx", "buildctl"})
_CUT_OFF = frozenset(
    {"attach", "build", "buildx", "commit", "cp", "exec", "load", "import", "push", "run", "save"}
)
_OPTIONS_WITH_VALUE = frozenset({"-H", "--host", "-c", "--context", "--config", "-l", "--log-level"})
_DEFAULT_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_MOST_CONTAINERS = 500


def in_progress(settings: ActSettings) -> List[str]:
    """A sentence for each session.  Raises Unavailable when the API does not answer."""
    return [*clients(settings), *execs(settings)]


def clients(settings: ActSettings) -> List[str]:
    """The docker command lines on this runtime's socket that wait for something other than a pull."""
    found = []
    for key, words in _docker_command_lines():
        verb = verb_of(words)
        if verb in _CUT_OFF and _is_ours(settings, key, words):
            found.append(f"docker {verb} (pid {key.pid}) is in progress")
    return found


def execs(settings: ActSettings) -> List[str]:
    """The running execs of all containers.  Raises Unavailable."""
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
    """The docker command in an argv: the first word behind the global options."""
    rest = iter(words[1:])
    for word in rest:
        if word in _OPTIONS_WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return ""


def socket_of(words: Sequence[str], environment: Mapping[str, str]) -> Optional[str]:
    """The UNIX socket that a docker command line talks to; None for one that is not on this host."""
    host = environment.get("DOCKER_HOST", f"unix://{_DEFAULT_SOCKETS[0]}")
    for word, following in zip(words, [*words[1:], ""]):
        if word in ("-H", "--host"):
            host = following
        elif word.startswith("--host="):
            host = word.partition("=")[2]
    scheme, _, path = host.partition("://")
    return path if scheme == "unix" else None


def _docker_command_lines() -> Iterator[Tuple[ProcessKey, Tuple[str, ...]]]:
    for pid in proc.pids():
        try:
            key = proc.identify(pid)
            words = birth.arguments(key)
        except WatchdogError:
            continue
        if words and Path(words[0]).name in _PROGRAMS:
            yield key, words


def _is_ours(settings: ActSettings, key: ProcessKey, words: Sequence[str]) -> bool:
    """Whether it talks to this runtime; one whose environment cannot be read may."""
    try:
        path = socket_of(words, birth.environment(key))
    except WatchdogError:
        return True
    return path is not None and _same_file(path, settings.socket_path or "")


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return one == other
