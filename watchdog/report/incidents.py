"""Incidents as files: for `act` and people at once, and for the next agent.

Law: RUN_DIR (memory) is written at once, because an action starts from that
record; STATE_DIR (a disk, which may stall) only by the writer thread.  A record
never loses what an earlier one of the same incident knew: when it began, and
what was done.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from watchdog.core.redaction import redact
from watchdog.report.files import make_directory, write_whole
from watchdog.report.writer import Writer

Record = Dict[str, Any]

INCIDENTS_KEPT = 200
# An incident's evidence changes with every look; the disk hears of that only so often.
STATE_DIR_EVERY_S = 30.0
RECORDINGS_KEPT = 20  # some 400 kB each
_ESSENCE = ("cause", "state", "image", "culprit", "resolved_at", "actions", "verification", "acknowledged_at")
_RECORD_MAX_BYTES = 1 << 20
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def read_records(directory: Path) -> Tuple[List[Record], List[str]]:
    """The records of a directory, oldest first, and what could not be read and why."""
    records, problems = [], []
    try:
        # Not glob, which takes a directory that cannot be read for an empty one.
        names = sorted(name for name in os.listdir(directory) if name.endswith(".json") and name[0] != ".")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"{directory}: {error.strerror}"]
    for path in (directory / name for name in names):
        try:
            records.append(read_record(path))
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}")
    return sorted(records, key=_age), problems


def read_record(path: Path) -> Record:
    """One record; ValueError when the file holds none, OSError when it cannot be read."""
    with path.open("rb") as file:
        record = json.loads(file.read(_RECORD_MAX_BYTES))
    if not isinstance(record, dict) or record.get("id") != path.stem:
        raise ValueError("not the record of that incident")
    return record


def merged(older: Iterable[Record], newer: Iterable[Record]) -> List[Record]:
    """Two sets of records as one, oldest first; of the same incident the newer counts."""
    by_id = {record["id"]: record for record in older}
    for record in newer:
        known = by_id.get(record["id"])
        by_id[record["id"]] = record if known is None else merge(known, record)
    return sorted(by_id.values(), key=_age)


def merge(older: Mapping[str, Any], newer: Record) -> Record:
    """The newer record, with the earliest times of both."""
    times = {name: _earliest(older.get(name), newer.get(name)) for name in ("opened_at", "confirmed_at")}
    return {**newer, **times}


def _earliest(*times: Any) -> Any:
    # RFC 3339 in UTC of one precision sorts as text.
    return min((time for time in times if time is not None), default=None)


def _age(record: Mapping[str, Any]) -> Tuple[str, str]:
    return str(record.get("opened_at") or ""), str(record.get("id"))


class IncidentStore:
    """The records of both directories, and the one place that writes them."""

    def __init__(
        self, run_dir: Path, state_dir: Path, writer: Writer, incidents_kept: int = INCIDENTS_KEPT
    ) -> None:
        self.run_path = run_dir / "incidents"
        self.state_path = state_dir / "incidents"
        self._writer = writer
        self._incidents_kept = incidents_kept
        # As text, because 200 records as dicts would be 2 MB.
        self._texts: Dict[str, str] = {}
        self._on_disk: Dict[str, Tuple[str, float]] = {}
        self.problem = ""

    def adopt(self, records: Iterable[Record]) -> None:
        """Take over what an earlier agent left, and see to it that both directories have it."""
        for record in records:
            self.keep(record)

    def keep(self, record: Record) -> None:
        """Have that record in both directories; one that did not change costs nothing."""
        name = str(record["id"])
        if not _ID.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a file")
        known = self._texts.get(name)
        if known is not None:
            record = merge(json.loads(known), record)
        text = redact(json.dumps(record, separators=(",", ":"), default=str))
        if text == known:
            return
        self._texts[name] = text
        self._write_run(f"{name}.json", text.encode())
        if self._is_due(record):
            self._writer.submit(
                lambda: self._write_state(f"{name}.json", text.encode()), key=f"incident {name}"
            )
        if known is None:
            self._prune()

    def _is_due(self, record: Record) -> bool:
        """True when the state directory's copy lacks something, or is old."""
        name, now = record["id"], time.monotonic()
        essence = json.dumps([record.get(key) for key in _ESSENCE], default=str)
        known, written = self._on_disk.get(name, ("", 0.0))
        if essence == known and now - written < STATE_DIR_EVERY_S:
            return False
        self._on_disk[name] = essence, now
        return True

    def keep_recording(self, name: str, content: bytes) -> None:
        """Write an incident's recording; called on the writer's thread."""
        self._write_state(f"{name}.recording.jsonl", content)
        _prune_files(self.state_path, ".recording.jsonl", RECORDINGS_KEPT)

    def _write_run(self, name: str, content: bytes) -> None:
        try:
            make_directory(self.run_path, 0o755)
            write_whole(self.run_path / name, content)
            self.problem = ""
        except OSError as error:
            self.problem = f"{self.run_path / name} cannot be written: {error.strerror}"

    def _write_state(self, name: str, content: bytes) -> None:
        make_directory(self.state_path, 0o700)
        write_whole(self.state_path / name, content, mode=0o600, sync=True)

    def _prune(self) -> None:
        """Forget the oldest beyond the limit, here and in both directories."""
        while len(self._texts) > self._incidents_kept:
            oldest = next(iter(self._texts))
            del self._texts[oldest]
            self._on_disk.pop(oldest, None)
            (self.run_path / f"{oldest}.json").unlink(missing_ok=True)
            self._writer.submit(self._prune_state, key="prune")

    def _prune_state(self) -> None:
        _prune_files(self.state_path, ".json", self._incidents_kept)


def _prune_files(directory: Path, ending: str, kept: int) -> None:
    """Remove all but the newest files of that ending."""
    files = [path for path in directory.iterdir() if path.name.endswith(ending) and path.name[0] != "."]
    files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in files[kept:]:
        path.unlink(missing_ok=True)
