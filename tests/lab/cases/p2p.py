"""Stories of Dragonfly on the node, told by stand-ins that answer and log as the real clients do."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check, open_incidents
from tests.lab.dragonfly import Dragonfly
from tests.lab.lab import Lab
from tests.lab.timeline import Timeline

CAUSE = "p2p_piece_timeout"
KEYS = {"v2_rust": "pieceTimeout: 600s", "v2_go": 'pieceDownloadTimeout: "600s"'}
WORDS = {"v2_rust": "the Rust client", "v2_go": "the Go daemon"}
CONFIRMED_WITHIN_S = 30.0


def watching(lab: Lab, client: Dragonfly, *remedies: str, mode: str = "enforce") -> Agent:
    """An agent that follows the client's log, with these remedies allowed."""
    options: dict[str, Any] = {
        "p2p": client.options,
        "logs": [{"name": "dfdaemon", "file": str(client.log)}],
        "remedies": dict.fromkeys(remedies, "on"),
    }
    return Agent(lab, mode, **options)


def pull(generation: str) -> Measured:
    """Pieces take 4 s, 2 s are allowed: dockerd gets 500 again and again, until the key is raised."""
    with Lab() as lab, Dragonfly(lab, generation, timeout="2s", piece_s=4) as client:
        lab.registry.publish(images.SMALL)
        before = client.config.read_text()
        with watching(lab, client, "raise_p2p_timeout") as agent:
            time = Timeline()
            dockerd = lab.dockerd.pid
            puller = lab.client("pull", client.reference(images.SMALL))
            time.mark("asked")
            time.mark_when("confirmed", lambda: _incident(agent))
            incident = agent.incident(CAUSE, "recovered", deadline_s=120.0)
            time.mark("recovered")
            check(puller.wait() == 0, f"the pull completes: {puller.output}")
            check(lab.dockerd.pid == dockerd, "dockerd was not restarted")
        _check_told(incident, generation)
        check(KEYS[generation] in client.config.read_text(), "the key of its generation is raised")
        check(_lines_changed(before, client.config.read_text()) == 1, "one line changed")
        check(client.starts == 2, f"the client was restarted once: {client.starts}")
    return Measured(
        {"confirmed": time.between("asked", "confirmed"), "recovered": time.between("asked", "recovered")}
    )


def preheat(generation: str) -> Measured:
    """A preheat of the manager's fails on this seed client, piece by piece; no runtime pulls."""
    with Lab() as lab, Dragonfly(lab, generation, timeout="2s", piece_s=3, preheats=1) as client:
        with watching(lab, client, "raise_p2p_timeout") as agent:
            time = Timeline()
            time.mark("begun")
            time.mark_when("confirmed", lambda: _incident(agent))
            incident = agent.incident(CAUSE, "recovered", deadline_s=120.0)
            time.mark("recovered")
        _check_told(incident, generation)
        check(KEYS[generation] in client.config.read_text(), "the key of its generation is raised")
    return Measured(
        {"confirmed": time.between("begun", "confirmed"), "recovered": time.between("begun", "recovered")}
    )


def kept_off(generation: str) -> Measured:
    """Nobody has allowed the remedy: told with the right key, nothing touched."""
    with Lab() as lab, Dragonfly(lab, generation, timeout="2s", piece_s=3, preheats=1) as client:
        before = client.config.read_bytes()
        with watching(lab, client) as agent:
            incident = agent.incident(CAUSE, deadline_s=60.0)
            check("switched off" in incident["next"], f"it says that it is switched off: {incident['next']}")
        _check_told(incident, generation)
        check(actions(agent) == [], f"nothing was done: {actions(agent)}")
        check(client.config.read_bytes() == before and client.starts == 1, "nothing was touched")
    return Measured(seen="told: " + KEYS[generation])


def healthy(generation: str) -> Measured:
    """A pull through a client that is well, with slow pieces within their time."""
    with Lab() as lab, Dragonfly(lab, generation, timeout="60s", piece_s=8) as client:
        lab.registry.publish(images.SMALL)
        with watching(lab, client, "raise_p2p_timeout", "restart_p2p") as agent:
            puller = lab.client("pull", client.reference(images.SMALL))
            check(puller.wait() == 0, f"the pull completes: {puller.output}")
            check(open_incidents(agent) == [] and agent.incidents() == [], "no incident")
        check(client.starts == 1, "the client was left alone")
    return Measured(seen="no incident")


def _incident(agent: Agent) -> dict[str, Any] | None:
    return next((one for one in agent.incidents() if one["cause"] == CAUSE), None)


def _check_told(incident: dict[str, Any], generation: str) -> None:
    kinds = {one["kind"] for one in incident["evidence"]}
    check("log" in kinds and len(kinds) >= 2, f"two kinds of evidence: {kinds}")
    told = " ".join(incident["advice"])
    check(KEYS[generation].replace('"', "") in told, f"the right key is told: {told}")


def _lines_changed(before: str, after: str) -> int:
    return sum(old != new for old, new in zip(before.splitlines(), after.splitlines(), strict=True))


CASES = [
    *(
        Case(
            f"Dragonfly 2, {WORDS[name]}: pieces time out in a pull",
            "its own key raised; image there",
            partial(pull, name),
        )
        for name in WORDS
    ),
    *(
        Case(
            f"Dragonfly 2, {WORDS[name]}: a preheat times out",
            "its own key raised; pieces come",
            partial(preheat, name),
        )
        for name in WORDS
    ),
    Case(
        "Dragonfly 2: pieces time out, no remedy allowed",
        "told with the right key",
        partial(kept_off, "v2_rust"),
    ),
    Case("Dragonfly 2: slow pieces within their time", "no incident", partial(healthy, "v2_rust")),
]
