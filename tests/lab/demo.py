"""`./dev demo`: a hung pull, as it happens, in two acts.

Law: no line is made up.  What is printed was read a moment before from /proc,
from dockerd, from the agent's own commands or from its metrics; where a hang
was brought about by us, that is said.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.lab import images, sight
from tests.lab.agent import Agent
from tests.lab.clients import Client
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import wait_until

COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
BEGAN = time.monotonic()
SERIES = (
    "pull_watchdog_incidents_total",
    "pull_watchdog_actions_total",
    "pull_watchdog_verifications_total",
    "pull_watchdog_gave_up",
)


def main() -> int:
    """Both acts; 0 when each ended as told, 1 otherwise."""
    print(bold("\n  pull-watchdog: a hung docker pull is seen, named, freed and verified\n"))
    with Lab() as lab:
        version = lab.dockerd.api.get("/version")["Version"]
        say(f"dockerd {version} (pid {lab.dockerd.pid}) and a registry, both private, on this machine")
        lab.unpigz.install(Form.BINARY)
        with Agent(lab, mode="enforce") as agent:
            engine = agent.metrics()
            name = next(one for one in engine if one.startswith("pull_watchdog_engine_info"))
            say(f"pull-watchdog (pid {agent.pid}), mode enforce, {name.split('_', 2)[2]}")
            ended_well = first_act(lab, agent) and second_act(lab, agent)
            prometheus(agent)
    print()
    say(
        f"{good('done')} in {time.monotonic() - BEGAN:.0f} s; nothing is left of it"
        if ended_well
        else bad("this did not end as it should")
    )
    return 0 if ended_well else 1


def first_act(lab: Lab, agent: Agent) -> bool:
    """A stopped decompressor: continued, and the user's own pull ends well."""
    act("Act 1: unpigz is stopped in mid-layer")
    lab.unpigz.arm(Fault.STOP, after_bytes=60_000_000, runs=1)
    client = start_pull(lab, images.BIG)
    standstill(lab, client)
    incident = agent.incident("decompressor_stopped", deadline_s=30)
    tell(incident)
    incident = agent.incident("decompressor_stopped", "recovered", deadline_s=30)
    tell_remedy(incident)
    status = client.wait(60)
    say(f"docker pull ended with status {status}; the image is {there(lab, images.BIG)}")
    if status != 0:
        say(f"it said: {client.output.splitlines()[-1]}")
    return status == 0 and lab.has(images.BIG)


def second_act(lab: Lab, agent: Agent) -> bool:
    """A spinning decompressor: killed, its pull made good."""
    act("Act 2: unpigz spins, which no signal cures")
    lab.unpigz.arm(Fault.SPIN, after_bytes=20_000_000, runs=1)
    client = start_pull(lab, images.MULTI)
    standstill(lab, client)
    incident = agent.incident("decompressor_spinning", deadline_s=30)
    tell(incident)
    say(f"the price, told before: {incident['cost']['text']}")
    incident = agent.incident("decompressor_spinning", "recovered", deadline_s=60)
    tell_remedy(incident)
    client.wait(60)
    say(f"the image is {there(lab, images.MULTI)}: the watchdog pulled it again")
    return lab.has(images.MULTI)


def start_pull(lab: Lab, image: images.Image) -> Client:
    client = lab.pull(image)
    say(f"$ docker pull {lab.registry.reference(image)}")
    blob = wait_until(lambda: next(iter(lab.dockerd.blobs), None), "the layer comes", 30)
    say(f"a layer of the pull: {blob.name}, {blob.size_bytes / 1e6:.0f} MB so far")
    return client


def standstill(lab: Lab, client: Client) -> None:
    """Show that nothing moves, and that nobody says so."""
    wait_until(lambda: lab.dockerd.stands_still(0.5), "the pull stands still", 30)
    pid = lab.dockerd.decompressors[0]
    with lines_of_dockerd(lab) as new_lines:
        before = sight.stage(pid)
        time.sleep(2)
        after = sight.stage(pid)
    assert before is not None and after is not None
    moved = sum(after.progress) - sum(before.progress)
    say(
        f"unpigz (pid {pid}) is in state {after.state}; in 2 s it moved {moved} bytes "
        + dim("(we brought this about)")
    )
    running = "runs on, silently" if client.running else "has ended"
    say(f"dockerd wrote {len(new_lines)} lines about it; docker pull {running}")


@contextmanager
def lines_of_dockerd(lab: Lab) -> Iterator[list[str]]:
    """The lines that dockerd's log gains meanwhile."""
    known = len(lab.dockerd.log_text().splitlines())
    lines: list[str] = []
    yield lines
    lines += lab.dockerd.log_text().splitlines()[known:]


def tell(incident: dict[str, Any]) -> None:
    """What the watchdog says is wrong, and what that rests on."""
    culprit = incident["culprit"]
    say(bad(f"{incident['id']}: {incident['cause']}") + f", pid {culprit['pid']}, {culprit['exe']}")
    say(f"holds up {incident['image']}")
    for fact in incident["evidence"]:
        print(f"           {dim(fact['kind'].rjust(13))}  {fact['text']}")


def tell_remedy(incident: dict[str, Any]) -> None:
    """What it did, and what it saw afterwards."""
    for action in incident["actions"]:
        say(f"{good(action['name'])}: {action['detail'] or 'still under way'}")
    say(f"verification: {good(str(incident['verification']))}, {incident['next']}")


def prometheus(agent: Agent) -> None:
    """What a scrape shows now."""
    act(f"What Prometheus sees at 127.0.0.1:{agent.port}/metrics")
    for series, value in agent.metrics().items():
        if series.startswith(SERIES) and (value or series == "pull_watchdog_gave_up"):
            print(f"           {series} {value:g}")


def there(lab: Lab, image: images.Image) -> str:
    return good("there") if lab.has(image) else bad("not there")


def act(title: str) -> None:
    print(f"\n  {bold(title)}\n")


def say(sentence: str) -> None:
    print(f"  {dim(f'{time.monotonic() - BEGAN:5.1f} s')}  {sentence}", flush=True)


def bold(text: str) -> str:
    return _coloured("1", text)


def dim(text: str) -> str:
    return _coloured("2", text)


def good(text: str) -> str:
    return _coloured("32", text)


def bad(text: str) -> str:
    return _coloured("31", text)


def _coloured(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOURS else text


if __name__ == "__main__":
    raise SystemExit(main())
