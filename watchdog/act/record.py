"""The incident that an action starts from: RUN_DIR/incidents/ID.json.

Law: an action takes an incident's id and never a pid, so everything that it
may touch was seen, judged and written down before.  Who writes these files may
have fewer rights than we have: a record says where to look, and each remedy looks
for itself.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from watchdog.core.codec import from_plain, to_plain
from watchdog.core.incident import Incident
from watchdog.core.record import from_record
from watchdog.errors import RecordingError, Refused

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Record:
    """An incident, and the boot in which it was seen."""

    incident: Incident
    boot_id: str


def load(run_dir: Path, incident_id: str) -> Record:
    """The record of an incident of this boot; Refused when it cannot be used."""
    if not _ID.fullmatch(incident_id):
        raise Refused(f'"{incident_id}" is no incident; `pull-watchdog incidents` lists them')
    path = run_dir / "incidents" / f"{incident_id}.json"
    try:
        plain = json.loads(_content(path))
        incident, boot_id = _typed(from_record(plain)), plain["boot_id"]
    except FileNotFoundError:
        raise Refused(f"no incident {incident_id} is known; `pull-watchdog incidents` lists them") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, RecordingError) as error:
        raise Refused(f"{path} cannot be used: {error}") from error
    if incident.id != incident_id or not isinstance(boot_id, str):
        raise Refused(f"{path} is not the record of incident {incident_id}")
    return Record(incident, boot_id)


def _content(path: Path) -> bytes:
    """Of a plain file: another kind could hold us for ever."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Refused(f"{path} is no plain file")
        return file.read(_MOST_BYTES)


def _typed(incident: Incident) -> Incident:
    """The same incident, each field of it of its own type.  Raises RecordingError."""
    checked: Incident = from_plain(Incident, to_plain(incident))
    return checked
