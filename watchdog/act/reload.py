"""A reload of the runtime's configuration: SIGHUP, and what the API tells of its effect.

Law: a reload puts the whole file in force, so it is given only where the file
holds nothing of somebody else's that waits for it.  That is known where the file
is older than the process, where the runtime has told of a reload since (an event,
of which it remembers its last 256), or where the very same content was checked
by us before (RUN_DIR-act keeps its digests).  What the runtime says of itself must
agree with the file in any case.

The effect is seen when an event of the reload comes that names the new value: a
reload that dockerd refuses leaves a line in its log and no event.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from watchdog.act import json_text, own_file
from watchdog.act.daemon_json import Change, ConfigFile
from watchdog.act.identity import Subject, check_not_held, handles
from watchdog.act.settings import ActSettings
from watchdog.errors import Refused
from watchdog.host import birth
from watchdog.host.docker import DockerApi

_ASK_S = 5.0
_SEEN_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.1
_LOOPBACK = ("127.0.0.0/8", "::1/128")


def check(settings: ActSettings, daemon: Subject, file: ConfigFile, ours: str = "") -> None:
    """Refused where a reload would put in force anything but what we have written to the key `ours`."""
    check_not_held(daemon)
    if not handles(daemon.process, signal.SIGHUP):
        raise Refused(f"{daemon.name} has no handler for SIGHUP and would end by it")
    wanted, info = json_text.parse(file.text), _api(settings).info()
    if wanted.get("authorization-plugins") or _at(info, "Plugins", "Authorization"):
        raise Refused("the runtime has an authorization plugin: a reload might end it")
    told = _told(info)
    differ = sorted(one for one in told if one in wanted and one != ours and not _agree(wanted, told, one))
    if differ:
        raise Refused(f"{file.path} holds edits that are not in force ({', '.join(differ)}): reload it first")
    if not (_is_checked(settings, daemon, file.text) or _was_read(settings, daemon, file)):
        raise Refused(
            f"{file.path} was changed after the runtime started, no reload since is known: reload it first"
        )


def remember(settings: ActSettings, daemon: Subject, file: ConfigFile, change: Change) -> None:
    """Note the content that was checked, and the one that the change makes of it."""
    texts = (file.text, json_text.exchanged(file.text, change.key, change.after))
    note = {"process": _process(daemon), "sha256": [_digest(one) for one in texts]}
    own_file.make_folder(settings.own_dir)
    try:
        _note(settings).write_text(json.dumps(note))
    except OSError as error:
        raise Refused(f"{_note(settings)} cannot be written: {error.strerror}") from error


def perform(settings: ActSettings, daemon: Subject, change: Change) -> bool:
    """Send SIGHUP; whether the runtime told that it has the new value."""
    since_s = time.time()
    daemon.send(signal.SIGHUP)
    limit = time.monotonic() + _SEEN_WITHIN_S
    while time.monotonic() < limit:
        time.sleep(_LOOK_EVERY_S)
        reloads = _reloads(settings, since_s)
        if reloads:
            return change.after is None or _same(reloads[-1].get(change.key), json.loads(change.after))
    return False


def in_force(settings: ActSettings, daemon: Subject, change: Change) -> bool:
    """Whether the runtime has the new value: as it says of itself, else as its last reload told."""
    told = _told(_api(settings).info())
    wanted = json.loads(change.after) if change.after is not None else None
    if change.key in told:
        return _agree({change.key: wanted}, told, change.key)
    reloads = _reloads(settings, birth.started_wall_ns(daemon.key) / 1e9)
    return bool(reloads) and _same(reloads[-1].get(change.key), wanted)


def _was_read(settings: ActSettings, daemon: Subject, file: ConfigFile) -> bool:
    """The process has read the file since it was changed last."""
    if file.changed_ns < birth.started_wall_ns(daemon.key):
        return True
    return bool(_reloads(settings, file.changed_ns / 1e9))


def _reloads(settings: ActSettings, since_s: float) -> List[Dict[str, str]]:
    """What the runtime told with each reload since then, oldest first: its settings as texts."""
    filters = {"type": ["daemon"], "event": ["reload"]}
    events = _api(settings).past_events(since_s, time.time(), filters)
    found = [_at(one, "Actor", "Attributes") for one in events]
    return [one for one in found if isinstance(one, dict)]


def _same(told: Optional[str], wanted: Any) -> bool:
    """A setting as an event tells it: JSON for a list, else the plain text of it."""
    if isinstance(wanted, list):
        with suppress(ValueError):
            return bool(json.loads(told or "[]") == wanted)
        return False
    return told == str(wanted)


# --- what the runtime says of itself -----------------------------------------------------


def _told(info: Mapping[str, Any]) -> Dict[str, Any]:
    """The keys of the file that /info tells, with their values."""
    return {
        "registry-mirrors": _at(info, "RegistryConfig", "Mirrors") or [],
        "insecure-registries": _insecure(info),
        "labels": info.get("Labels") or [],
        "debug": info.get("Debug"),
        "live-restore": info.get("LiveRestoreEnabled"),
        "default-runtime": info.get("DefaultRuntime"),
    }


def _agree(file: Mapping[str, Any], told: Mapping[str, Any], key: str) -> bool:
    return bool(_PLAIN.get(key, _as_it_is)(file[key]) == _PLAIN.get(key, _as_it_is)(told[key]))


def _insecure(info: Mapping[str, Any]) -> List[str]:
    """Networks and names, without those that are always in it."""
    networks = _at(info, "RegistryConfig", "InsecureRegistryCIDRs") or []
    names = _at(info, "RegistryConfig", "IndexConfigs") or {}
    return [one for one in networks if one not in _LOOPBACK] + [
        name for name, one in names.items() if one.get("Secure") is False
    ]


def _mirrors(value: Any) -> Any:
    """dockerd puts a slash behind each."""
    return [str(one).rstrip("/") for one in value or []]


def _registries(value: Any) -> Any:
    """dockerd writes a network with its first address, and tells them in no order."""
    return {_network(str(one)) for one in value or []} - set(_LOOPBACK)


def _network(text: str) -> str:
    with suppress(ValueError):
        return str(ip_network(text, strict=False))
    return text


def _as_it_is(value: Any) -> Any:
    return value


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "registry-mirrors": _mirrors,
    "insecure-registries": _registries,
    "labels": lambda value: sorted(value or []),
}


def _at(value: Any, *names: str) -> Any:
    """A value inside of objects; None where one of them is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _api(settings: ActSettings) -> DockerApi:
    return DockerApi(settings.socket_path or "", _ASK_S)


# --- contents that were checked -------------------------------------------------------------


def _note(settings: ActSettings) -> Path:
    return settings.own_dir / f"daemon-json-{settings.runtime.name}.json"


def _is_checked(settings: ActSettings, daemon: Subject, text: str) -> bool:
    try:
        note = json.loads(_note(settings).read_bytes())
        return bool(note["process"] == _process(daemon) and _digest(text) in note["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _process(daemon: Subject) -> List[int]:
    return [daemon.key.pid, daemon.key.start_ticks]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
