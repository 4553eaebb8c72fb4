"""Runtimes that are not watched: recognised, said, and their hung pulls left alone."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab import images
from tests.lab.agent import Agent
from tests.lab.cases import Case, Measured, actions, check
from tests.lab.debian import unpacked
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH, run, wait_until
from tests.lab.registry import free_port

LEFT_ALONE_S = 15.0  # a hang of a runtime that is watched is confirmed by then
STORES_IN_CONTAINERD_SINCE = 24
# The user namespace of rootlesskit, without its network: ours is loopback alone.
ROOTLESS = """\
#!/bin/sh
export ROOTLESSKIT_STATE_DIR={root} XDG_RUNTIME_DIR={root} HOME={root} PATH="$PATH:{programs}"
exec unshare --user --map-root-user --mount sh -c \\
    'mount -t tmpfs nodev /run && exec /usr/sbin/dockerd --rootless --group root "$@"' sh "$@"
"""


def tcp() -> Measured:
    """A dockerd that is asked over TCP could be anywhere."""
    port = free_port()
    with Lab(["-H", f"tcp://127.0.0.1:{port}"]) as lab, _agent(lab, f"tcp://127.0.0.1:{port}") as agent:
        return _left_alone(lab, agent, "remote")


def containerd_store() -> Measured:
    """A dockerd that lets containerd keep the images, and unpack them."""
    lab = Lab()
    if _version(lab) < STORES_IN_CONTAINERD_SINCE:
        newer = unpacked("docker.io", "containerd", suite="trixie")
        for program in ("usr/sbin/dockerd", "usr/bin/containerd"):
            (lab.dockerd.programs / Path(program).name).symlink_to(newer / program)
    lab.dockerd.config.write_text('{"features": {"containerd-snapshotter": true}}')
    with lab, _agent(lab, f"unix://{lab.dockerd.socket}") as agent:
        return _left_alone(lab, agent, "containerd_store")


def rootless() -> Measured:
    """A dockerd in a user namespace of its own."""
    lab = Lab()
    script = lab.dockerd.programs / "dockerd"
    programs = unpacked("rootlesskit") / "usr/bin"
    script.write_text(ROOTLESS.format(root=lab.root, programs=programs))
    script.chmod(0o755)
    with lab, _agent(lab, f"unix://{lab.dockerd.socket}") as agent:
        return _left_alone(lab, agent, "rootless")


def podman() -> Measured:
    """podman's service, listening where docker would."""
    with Lab() as lab, _podman_service(lab) as socket, _agent(lab, f"unix://{socket}") as agent:
        return Measured(seen=_said(agent, "podman"))


@contextlib.contextmanager
def _podman_service(lab: Lab) -> Iterator[Path]:
    """Its socket; it ends with the lab."""
    files = unpacked("podman")
    folder = lab.root / "podman"
    folder.mkdir()
    libraries = ":".join(str(path) for path in (files / "usr/lib").glob("*-linux-gnu"))
    environment = {
        "PATH": f"{files}/usr/bin:{SYSTEM_PATH}",
        "LD_LIBRARY_PATH": libraries,
        "HOME": str(folder),
    }
    places = ["--root", f"{folder}/root", "--runroot", f"{folder}/runroot", "--tmpdir", f"{folder}/tmp"]
    command = [f"{files}/usr/bin/podman", *places, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
    command += ["--conmon", f"{files}/usr/bin/conmon", "system", "service", "--time=0"]
    lab.cell.spawn([*command, f"unix://{folder}/docker.sock"], "podman", folder / "log", environment)
    wait_until((folder / "docker.sock").exists, f"podman listens: {folder / 'log'}", 20.0)
    yield folder / "docker.sock"


def _agent(lab: Lab, socket: str) -> Agent:
    return Agent(lab, runtimes=[{"name": "lab", "socket": socket, "restart": ["/bin/false"]}])


def _left_alone(lab: Lab, agent: Agent, sight: str) -> Measured:
    """Recognised as such; a pull that hangs there is told at most."""
    said = _said(agent, sight)
    lab.unpigz.install(Form.BINARY)
    lab.unpigz.arm(Fault.PAUSE, 8 * images.MB)
    pull = lab.pull(images.SMALL)
    wait_until(lambda: _hangs(lab), "the pull hangs", 60.0)
    time.sleep(LEFT_ALONE_S)
    told = [one["next"] for one in agent.incidents()]
    check(actions(agent) == [] and pull.running, f"nothing is touched: {told}")
    return Measured(seen=f"{said}; its hung pull is left alone{''.join(f', {one}' for one in told)}")


def _hangs(lab: Lab) -> bool:
    return lab.dockerd.stands_still(0.5)


def _said(agent: Agent, sight: str) -> str:
    """What `status` says of the runtime, once the agent knows what kind it is."""
    wait_until(lambda: _sight(agent) == sight, f"it is recognised as {sight}", 30.0, every_s=0.5)
    lines = " ".join(agent.status().split())
    found = re.search(r"lab (.*?) kernel events", lines)
    check(found and sight.replace("_", " ") in found[1], f"status says so: {lines}")
    return found[1] if found else ""


def _sight(agent: Agent) -> str:
    runtimes = json.loads((agent.run_dir / "state.json").read_text())["runtimes"]
    return next((str(one["sight"]) for one in runtimes), "")


def _version(lab: Lab) -> int:
    """The major version of the dockerd that the lab would start."""
    return int(run("dockerd", "--version").split("version ")[1].split(".")[0])


CASES = [
    Case("the containerd image store", "recognised and said", containerd_store),
    Case("podman behind docker.sock", "recognised and said", podman),
    Case("tcp://", "recognised and said", tcp),
    Case("rootless", "recognised and said", rootless),
]
