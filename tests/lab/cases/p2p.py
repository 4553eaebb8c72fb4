"""Stories of Dragonfly on the node, told by stand-ins that answer and log as the real clients do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check, open_incidents
from tests.lab.cases.stories import explained
from tests.lab.docker_io import SMALL, DockerIo
from tests.lab.dragonfly import Dragonfly
from tests.lab.lab import Lab
from tests.lab.processes import wait_until
from tests.lab.timeline import Timeline

CAUSE = "p2p_piece_timeout"
SUPERNODE = "p2p_supernode_unreachable"
NAME = "lab/small:1"
MANY = images.Image(
    "lab/many", tuple(images.Layer(50 + n, size * images.MB) for n, size in enumerate((8, 8, 8, 8, 1)))
)
KEYS = {"v2_rust": "pieceTimeout: 600s", "v2_go": 'pieceDownloadTimeout: "600s"'}
WORDS = {"v2_rust": "the Rust client", "v2_go": "the Go daemon"}


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
        _check_explained(client, CAUSE, KEYS[generation].replace('"', ""))
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
        _check_explained(client, CAUSE, KEYS[generation].replace('"', ""))
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


@contextmanager
def mirrored_by_v1(image: images.Image = SMALL, **control: Any) -> Iterator[tuple[Lab, Dragonfly]]:
    """A node whose docker.io has a dfdaemon of Dragonfly 1 as its mirror."""
    lab = Lab()
    with ExitStack() as stack:
        stack.callback(lab.stop)
        lab.registry.start()
        lab.registry.publish(image)
        stack.enter_context(DockerIo(lab))
        client = stack.enter_context(Dragonfly(lab, "v1", **control))
        lab.dockerd.config.write_text(json.dumps({"registry-mirrors": [f"http://{client.address}"]}))
        lab.dockerd.start()
        yield lab, client


def supernode_refuses() -> Measured:
    """dfdaemon answers 502 from the first blob on, and dockerd passes it over: named, with its fix."""
    with mirrored_by_v1() as (lab, client), watching(lab, client, "bypass_mirror") as agent:
        puller, time = lab.client("pull", NAME), Timeline()
        time.mark("asked")
        incident = time.mark_when("confirmed", lambda: _incident(agent, SUPERNODE), deadline_s=60.0)
        check(puller.wait() == 0, f"dockerd pulls from docker.io by itself: {puller.output}")
        _check_told_of_supernode(incident, client)
        check(actions(agent) == [], f"nothing was done: {actions(agent)}")
    return Measured({"confirmed": time.between("asked", "confirmed")})


def supernode_dies() -> Measured:
    """In the middle of a pull: the layers that are left get 502 again and again, until it is bypassed."""
    control = {"rate_bytes_per_s": 2 * images.MB}
    with mirrored_by_v1(MANY, **control) as (lab, client), watching(lab, client, "bypass_mirror") as agent:
        time, dockerd = Timeline(), lab.dockerd.pid
        with socket.create_server(("127.0.0.1", client.supernode)):
            puller = lab.client("pull", f"{MANY.repository}:{MANY.tag}")
            wait_until(lambda: client.fetching >= 2, "layers are being fetched")
        time.mark("died")
        incident = time.mark_when("confirmed", lambda: _incident(agent, SUPERNODE), deadline_s=90.0)
        time.mark_when("bypassed", lambda: not lab.dockerd.api.mirrors() or None, deadline_s=60.0)
        agent.incident(SUPERNODE, "recovered", deadline_s=150.0)
        check(puller.wait() == 0, f"the pull completes from docker.io: {puller.output}")
        _check_told_of_supernode(incident, client)
        _check_back(lab, client, agent)
        check(lab.dockerd.pid == dockerd, "dockerd was not restarted")
    return Measured(
        {"confirmed": time.between("died", "confirmed"), "bypassed": time.between("died", "bypassed")}
    )


def _check_told_of_supernode(incident: dict[str, Any], client: Dragonfly) -> None:
    kinds = {one["kind"] for one in incident["evidence"]}
    check("log" in kinds and len(kinds) >= 2, f"two kinds of evidence: {kinds}")
    _check_explained(client, SUPERNODE, "/etc/dragonfly.conf")
    told = " ".join(incident["advice"])
    check("/etc/dragonfly.conf" in told and "docker restart dfclient" in told, f"its fix is told: {told}")


def _check_back(lab: Lab, client: Dragonfly, agent: Agent) -> None:
    """Once a supernode answers, the client is in use again."""
    with socket.create_server(("127.0.0.1", client.supernode)):
        wait_until(
            lambda: lab.dockerd.api.mirrors() or None, "the mirror is in the list again", 150.0, every_s=1.0
        )
        lab.registry.publish(SMALL)
        check(lab.client("pull", NAME).wait() == 0, "the next pull succeeds")
    check("bypass_mirror" in actions(agent), "it was our own doing")


def whole_layer_first() -> Measured:
    """Dragonfly 1 fetches a layer whole before its first byte: silent for long, and no fault."""
    with mirrored_by_v1(rate_bytes_per_s=300_000) as (lab, client):
        quick = {"stalled": 5, "header_wait": 8}
        options = {"thresholds": quick, "remedies": {"bypass_mirror": "on"}, "p2p": client.options}
        with socket.create_server(("127.0.0.1", client.supernode)), Agent(lab, **options) as agent:
            puller = lab.client("pull", NAME)
            check(puller.wait(150.0) == 0, f"the pull completes: {puller.output}")
            check(agent.incidents() == [], f"no incident: {agent.incidents()}")
            check(lab.dockerd.api.mirrors() != [], "the mirror is in the list")
    return Measured(seen="no incident")


def _incident(agent: Agent, cause: str = CAUSE) -> dict[str, Any] | None:
    return next((one for one in agent.incidents() if one["cause"] == cause), None)


def _check_told(incident: dict[str, Any], generation: str) -> None:
    kinds = {one["kind"] for one in incident["evidence"]}
    check("log" in kinds and len(kinds) >= 2, f"two kinds of evidence: {kinds}")
    told = " ".join(incident["advice"])
    check(KEYS[generation].replace('"', "") in told, f"the right key is told: {told}")


def _check_explained(client: Dragonfly, cause: str, fix: str) -> None:
    """From its log alone, afterwards."""
    told = explained([client.log])
    check(f"[{cause}" in told and fix in told, f"explain names it and its fix: {told}")


def _lines_changed(before: str, after: str) -> int:
    lines = before.splitlines(), after.splitlines()
    return sum(old != new for old, new in zip(*lines)) + abs(len(lines[0]) - len(lines[1]))


CASES = [
    Case(
        "Dragonfly 1: its supernode refuses", "named with its fix; dockerd passes it over", supernode_refuses
    ),
    Case("Dragonfly 1: its supernode dies in mid-pull", "bypassed; back once it answers", supernode_dies),
    Case("Dragonfly 1: a layer fetched whole before its first byte", "no incident", whole_layer_first),
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
