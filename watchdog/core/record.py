"""An incident as the JSON record that people, `act` and the next agent read.

Schema 1.  Times are RFC 3339 in UTC, to the millisecond.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Mapping, Optional

from watchdog.core.causes.finding import Cause
from watchdog.core.codec import from_plain, to_plain
from watchdog.core.estimate import Estimate
from watchdog.core.evidence import Evidence
from watchdog.core.incident import ActionTaken, Incident, Owed, State, Verdict
from watchdog.core.observation import BlobSample, Executable, Outcome, ProcessKey, ProcessSample
from watchdog.core.pull import AffectedPull
from watchdog.core.target import Target
from watchdog.errors import RecordingError

SCHEMA = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def to_record(incident: Incident, boot_id: str) -> Dict[str, Any]:
    """The incident as plain JSON values."""
    return {
        "schema": SCHEMA,
        "id": incident.id,
        "cause": incident.cause.value,
        "state": incident.state.value,
        "runtime": incident.runtime,
        "image": incident.image,
        "images": list(dict.fromkeys(pull.image for pull in incident.pulls)),
        "culprit": {**_process(incident.culprit), "command": incident.command},
        "stage": [_process(one) for one in incident.stage],
        "decompressor": [_process(one) for one in incident.decompressor],
        "daemon": _process(incident.daemon) if incident.daemon else None,
        "boot_id": boot_id,
        "opened_at": rfc3339(incident.opened_wall_ns),
        "confirmed_at": rfc3339(incident.confirmed_wall_ns),
        "resolved_at": rfc3339(incident.resolved_wall_ns),
        "evidence": [{"kind": one.kind.value, "text": one.text} for one in incident.evidence],
        "cost": _cost(incident),
        "blob": to_plain(incident.blob) if incident.blob else None,
        "acknowledged_at": rfc3339(incident.acknowledged_wall_ns or None),
        "hands_off": incident.hands_off,
        "recurrence": incident.recurrence,
        "actions": [_action(one) for one in incident.actions],
        "verification": incident.verification.value if incident.verification else None,
        "next": incident.next,
        "subject": incident.subject,
        "target": to_plain(incident.target) if incident.target else None,
        "advice": list(incident.advice),
        "estimate": to_plain(incident.estimate) if incident.estimate else None,
    }


def from_record(record: Mapping[str, Any]) -> Incident:
    """The incident that a record tells of; RecordingError when it is of another schema."""
    try:
        if record["schema"] != SCHEMA:
            raise RecordingError(f"incident record of schema {record['schema']}, this is {SCHEMA}")
        return _incident_of(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"not an incident record: {error!r}") from error


def rfc3339(wall_ns: Optional[int]) -> Optional[str]:
    """A wall time as text; None stays None."""
    if wall_ns is None:
        return None
    moment = _EPOCH + timedelta(microseconds=wall_ns // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wall_ns(text: Optional[str]) -> Optional[int]:
    """The wall time that `rfc3339` wrote."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return ((moment - _EPOCH) // timedelta(microseconds=1)) * 1000


def _incident_of(record: Mapping[str, Any]) -> Incident:
    daemon = record["daemon"]
    return Incident(
        id=record["id"],
        runtime=record["runtime"],
        cause=Cause(record["cause"]),
        state=State(record["state"]),
        culprit=_sample(record["culprit"]),
        evidence=tuple(from_plain(Evidence, one) for one in record["evidence"]),
        opened_wall_ns=wall_ns(record["opened_at"]) or 0,
        confirmed_wall_ns=wall_ns(record["confirmed_at"]) or 0,
        command=record["culprit"]["command"],
        stage=tuple(_sample(one) for one in record["stage"]),
        decompressor=tuple(_sample(one) for one in record["decompressor"]),
        daemon=_sample(daemon) if daemon else None,
        pulls=tuple(_pull_of(one) for one in record["cost"]["pulls"] if not one["carried"]),
        carried=tuple(_pull_of(one) for one in record["cost"]["pulls"] if one["carried"]),
        certain=record["image"] is not None,
        blob=from_plain(BlobSample, record["blob"]) if record["blob"] else None,
        acknowledged_wall_ns=wall_ns(record["acknowledged_at"]) or 0,
        hands_off=record["hands_off"],
        resolved_wall_ns=wall_ns(record["resolved_at"]),
        recurrence=record["recurrence"],
        actions=tuple(_action_of(one) for one in record["actions"]),
        owed=tuple(_owed_of(one) for one in record["cost"]["pulls"] if one["owed"] is not None),
        verification=Verdict(record["verification"]) if record["verification"] else None,
        next=record["next"],
        subject=record["subject"],
        target=from_plain(Target, record["target"]) if record["target"] else None,
        advice=tuple(record["advice"]),
        estimate=from_plain(Estimate, record["estimate"]) if record["estimate"] else None,
    )


def _process(sample: ProcessSample) -> Dict[str, Any]:
    exe = sample.exe
    return {
        "pid": sample.key.pid,
        "start_ticks": sample.key.start_ticks,
        "parent_pid": sample.parent_pid,
        "exe": exe.path if exe else None,
        "device": exe.device if exe else None,
        "inode": exe.inode if exe else None,
        "comm": sample.comm,
        "read_bytes": sample.read_bytes,
        "written_bytes": sample.written_bytes,
    }


def _sample(value: Mapping[str, Any]) -> ProcessSample:
    exe = Executable(value["exe"], value["device"], value["inode"]) if value["exe"] else None
    return ProcessSample(
        key=ProcessKey(value["pid"], value["start_ticks"]),
        parent_pid=value["parent_pid"],
        comm=value["comm"],
        exe=exe,
        read_bytes=value["read_bytes"],
        written_bytes=value["written_bytes"],
    )


def _cost(incident: Incident) -> Dict[str, Any]:
    """What a kill of the decompressor ends.  `owed`: what is to be pulled again, see Owed."""
    owed = {_pull_name(one.pull): one for one in incident.owed}
    pulls = [_pull(one, owed.get(_pull_name(one))) for one in incident.pulls]
    known = set(incident.pulls)
    carried = [one for one in incident.carried if one not in known]
    pulls += [_pull(one, owed.get(_pull_name(one)), carried=True) for one in carried]
    sizes = {one.digest: one.layer_bytes for one in incident.pulls if one.layer_bytes is not None}
    total = sum(size for size in sizes.values() if size is not None) if sizes else None
    again = f", and up to {total} bytes of layers are fetched again" if total else ""
    count = "1 pull" if len(pulls) == 1 else f"{len(pulls)} pulls"
    text = "" if incident.target else f"killing the decompressor ends {count}{again}"
    return {"pulls": pulls, "layer_bytes": total, "text": text}


def _pull_name(pull: AffectedPull) -> str:
    return f"{pull.image} {pull.client}"


def _pull(pull: AffectedPull, owed: Optional[Owed], carried: bool = False) -> Dict[str, Any]:
    return {
        "image": pull.image,
        "digest": pull.digest,
        "platform": pull.platform,
        "client_pid": pull.client.pid if pull.client else None,
        "client_start_ticks": pull.client.start_ticks if pull.client else None,
        "connected": pull.connected,
        "carried": carried,
        "layer_bytes": pull.layer_bytes,
        "owed": None
        if owed is None
        else {
            "satisfied": owed.satisfied,
            "repull": owed.to_repull,
            "gone_samples": owed.gone_samples,
            "asked": owed.asked,
        },
    }


def _pull_of(value: Mapping[str, Any]) -> AffectedPull:
    pid = value["client_pid"]
    return AffectedPull(
        image=value["image"],
        digest=value["digest"],
        client=ProcessKey(pid, value["client_start_ticks"]) if pid is not None else None,
        connected=value["connected"],
        platform=value["platform"],
        layer_bytes=value["layer_bytes"],
    )


def _owed_of(value: Mapping[str, Any]) -> Owed:
    owed = value["owed"]
    return Owed(_pull_of(value), owed["satisfied"], owed["gone_samples"], owed["asked"])


def _action(taken: ActionTaken) -> Dict[str, Any]:
    return {
        "id": taken.action,
        "name": taken.remedy,
        "started_at": rfc3339(taken.started_wall_ns),
        "outcome": taken.outcome.value if taken.outcome else None,
        "detail": taken.detail,
    }


def _action_of(value: Mapping[str, Any]) -> ActionTaken:
    outcome = Outcome(value["outcome"]) if value["outcome"] else None
    started = wall_ns(value["started_at"]) or 0
    return ActionTaken(value["id"], value["name"], started, outcome, value["detail"])
