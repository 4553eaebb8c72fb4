"""An incident's record as labelled lines; each function gives none when there is nothing to say."""

from __future__ import annotations

from typing import Any, Dict, List

from watchdog.cli.text import clock, wrapped

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
    return wrapped("cost", record["cost"]["text"]) if record["cost"]["pulls"] else []


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
