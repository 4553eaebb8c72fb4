"""What a kill owes: the pulls that it may have ended, until each has come or goes on by itself.

Law: no pull that a kill may have ended is forgotten: it is satisfied by what is
seen of it, or a later incident carries it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

from watchdog.core.extraction import Tracks
from watchdog.core.incident import EFFECTIVE, ActionTaken, Incident, Owed
from watchdog.core.observation import Client
from watchdog.core.policy import Remedy
from watchdog.core.progress import image_came, later_layer, same_name
from watchdog.core.pull import AffectedPull
from watchdog.core.world import World

_KILL = Remedy.KILL_DECOMPRESSOR.value
_REPULL = Remedy.REPULL.value


def begun(incident: Incident, taken: ActionTaken) -> Incident:
    """An action is under way: a kill owes from now on what it may end, a repull is asked for."""
    if taken.remedy == _KILL:
        return replace(incident, owed=_by_kill(incident))
    if taken.remedy == _REPULL:
        return replace(
            incident, owed=tuple(replace(one, asked=one.asked or one.to_repull) for one in incident.owed)
        )
    return incident


def without_effect(incident: Incident, taken: ActionTaken) -> Incident:
    """A kill that was not made has cost nothing; a repull that was not made can be asked for again."""
    if taken.remedy == _KILL and not incident.taken(_KILL, *EFFECTIVE):
        return replace(incident, owed=())
    return asked_anew(incident) if taken.remedy == _REPULL else incident


def asked_anew(incident: Incident) -> Incident:
    """No repull is under way: each that is owed can be asked for."""
    return replace(incident, owed=tuple(replace(one, asked=False) for one in incident.owed))


def carrying(incident: Incident) -> Incident:
    """A pull that an earlier kill owes stays known, also when nobody asks for it any more."""
    known = {(one.image, one.client) for one in (*incident.pulls, *incident.carried)}
    owed = tuple(one.pull for one in incident.owed if (one.pull.image, one.pull.client) not in known)
    return replace(incident, carried=(*incident.carried, *owed)) if owed else incident


def followed(incident: Incident, world: World, tracks: Tracks) -> Incident:
    """The incident with what this frame shows of each pull that is owed."""
    return replace(incident, owed=tuple(_follow(one, incident, world, tracks) for one in incident.owed))


def _by_kill(incident: Incident) -> Tuple[Owed, ...]:
    """The connected pulls that share the layer, and those that an earlier kill still owes."""
    own = [pull for pull in incident.pulls if pull.connected]
    known = {(pull.image, pull.digest) for pull in own}
    carried = [pull for pull in incident.carried if (pull.image, pull.digest) not in known]
    return tuple(Owed(pull) for pull in (*own, *carried))


def _follow(owed: Owed, incident: Incident, world: World, tracks: Tracks) -> Owed:
    """A pull whose own client goes on is satisfied by progress; one that our repull brings
    only by the image, because nobody else would notice if it hung again."""
    if owed.satisfied:
        return owed
    if image_came(owed.pull, incident, world):
        return replace(owed, satisfied=True)
    scan = world.clients.get(incident.runtime)
    if scan is None or world.clients_seen_ns[incident.runtime] != world.now_ns:
        return owed  # no look at the clients in this frame
    if any(_brings(one, owed.pull) for one in scan.clients):
        goes_on = bool(later_layer(owed.pull, incident, world, tracks))
        return replace(owed, satisfied=goes_on, gone_samples=0)
    return replace(owed, gone_samples=owed.gone_samples + 1) if scan.complete else owed


def _brings(client: Client, pull: AffectedPull) -> bool:
    """The pull's own client, or somebody else who pulls the same."""
    if client.key == pull.client:
        return True
    return (
        client.verb == "pull" and client.connected is not False and same_name(pull.image, client.image or "")
    )
