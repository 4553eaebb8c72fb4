"""An incident's record as labelled lines; each function gives none when there is nothing to say."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from watchdog.cli.text import clock, duration, size, wrapped

Record = Dict[str, Any]


def image(record: Record) -> List[str]:
    """The image that is held up, or those that it may be."""
    candidates = ", ".join(record["images"])
    if record["image"] is None and candidates:
        return wrapped("one of", candidates)
    return wrapped("image", record["image"] or "not known")


def culprit(record: Record) -> List[str]:
    """The process at fault."""
    one = record["culprit"]
    return wrapped("culprit", f"{one['comm']}, pid {one['pid']}, {one['exe'] or 'its file is not known'}")


def evidence(record: Record) -> List[str]:
    """What that rests on."""
    return _listed("evidence", [one["text"] for one in record["evidence"]])


def cost(record: Record) -> List[str]:
    """What a kill would cost."""
    told = record["cost"]["text"] if record["cost"]["pulls"] else ""
    return wrapped("cost", told) if told else []


def estimate(record: Record) -> List[str]:
    """How far its pull is."""
    told = progress(record["estimate"])
    return wrapped("so far", told) if told else []


def progress(far: Optional[Record]) -> str:
    """How far a pull is, and when its layers will be there; "" where that is not known."""
    if not far or not (far["done_bytes"] or far.get("total_bytes")):
        return ""
    of = f" of {size(far['total_bytes'])}" if far.get("total_bytes") else ""
    left = far.get("seconds_left")
    end = f", about {duration(left)} left" if left is not None else ""
    slowest = f", held up by {far['slowest']}" if far.get("slowest") else ""
    return f"{size(far['done_bytes'])}{of} downloaded, {size(far['bytes_per_second'])}/s{end}{slowest}"


def advice(record: Record) -> List[str]:
    """What to tell whom."""
    return _listed("tell", record["advice"])


def actions(record: Record) -> List[str]:
    """What was done, and how that ended."""
    return _listed("done", [_action(one) for one in record["actions"]])


def verification(record: Record) -> List[str]:
    """Whether it helped."""
    return wrapped("checked", record["verification"].replace("_", " ")) if record["verification"] else []


def following(record: Record) -> List[str]:
    """What happens next, or why nothing does."""
    return wrapped("next", record["next"]) if record["next"] else []


def _action(one: Dict[str, Any]) -> str:
    detail = f": {one['detail']}" if one["detail"] else ""
    return f"{clock(one['started_at'])} {one['name']} {one['outcome'] or 'under way'}{detail}"


def _listed(label: str, texts: List[str]) -> List[str]:
    return [line for n, text in enumerate(texts) for line in wrapped(label if n == 0 else "", text)]


BRIEFLY = (image, culprit, actions, verification, following, advice)
ALL = (image, culprit, evidence, estimate, cost, actions, verification, following, advice)
