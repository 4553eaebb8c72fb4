"""The guest as a node: its own dockerd, a registry to pull from, and the packaged agent.

Law: nothing of the product is imported here; what it says is taken from its
commands, and what is true from /proc, docker and systemd.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, TypeVar

import yaml

from tests.lab import images, sight
from tests.lab.faults import FakeUnpigz
from tests.lab.processes import Cell, kill
from tests.lab.registry import Registry
from tests.vm.inside.machine import journal, main_pid, run, run_json, systemctl, wait_until

T = TypeVar("T")
AGENT = "pull-watchdog.service"
DOCKER = "docker.service"
UNITS = Path("/usr/lib/systemd/system")
CONFIG = Path("/etc/pull-watchdog/config.yaml")
STATE_DIR, RUN_DIR = Path("/var/lib/pull-watchdog"), Path("/run/pull-watchdog")
# The usual ones are for real machines.
DEADLINES = {
    "resume": "2m",
    "kill_decompressor": "2m",
    "substitute_decompressor": "2m",
    "restart_runtime": "10m",
}
# What a unit does and when, which a command by hand has of its own.
NOT_OF_CONFINEMENT = ("Type=", "Exec", "Standard", "Restart", "Timeout", "KillMode=", "SuccessExitStatus=")
# While this is there, it looks as if containerd pulled images on this node too.
CONTAINERD_PULLS = Path("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1")
START_LIMIT = Path("/run/systemd/system/docker.service.d/start-limit.conf")


class Node:
    """One for all checks of a guest."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.registry = Registry(root, Cell("checks"))
        self.unpigz = FakeUnpigz(Path("/usr/local"), Path("/usr/local/bin"))
        self.registry.start()
        self._only_observes = False

    # --- the agent ------------------------------------------------------------

    def observe(self) -> None:
        """An agent that observes, and that nothing else was asked of; the running one if it is such."""
        if not self._only_observes:
            self.begin("observe")
        self._only_observes = True

    def begin(self, mode: str = "enforce", **options: Any) -> None:
        """Start the packaged agent with this configuration and no past."""
        self._only_observes = False
        self.configure(mode, **options)
        systemctl("stop", AGENT)
        self._forget()
        self.start()

    def _forget(self) -> None:
        """Empty its directories; they and the socket in them are not the agent's."""
        for one in (*STATE_DIR.iterdir(), *RUN_DIR.iterdir()):
            if one.is_dir():
                shutil.rmtree(one)
            elif not one.is_socket():
                one.unlink()

    def configure(self, mode: str, **options: Any) -> None:
        content = {"mode": mode, "deadlines": DEADLINES, **options}
        CONFIG.write_text(yaml.safe_dump(content, sort_keys=False))

    def start(self) -> None:
        """Start the unit, and wait until it sees its runtime.  Raises AssertionError with its log."""
        run("systemctl", "start", AGENT, deadline_s=180.0, check=False)
        self.wait("the agent sees docker", lambda: self.seen_pid, 60.0)

    @property
    def state(self) -> Dict[str, Any]:
        """What the agent says of itself and the host; empty while it does not run."""
        with contextlib.suppress(AssertionError, ValueError):
            told: Dict[str, Any] = run_json("pull-watchdog", "status", "--json")
            return told
        return {}

    def runtime(self) -> Dict[str, Any]:
        return next(iter(self.state.get("runtimes", [])), {})

    @property
    def seen_pid(self) -> Optional[int]:
        """The runtime's pid as the agent sees it; None while it sees none."""
        process = self.runtime().get("process")
        return process["pid"] if process else None

    def incidents(self) -> List[Dict[str, Any]]:
        told: List[Dict[str, Any]] = run_json("pull-watchdog", "incidents", "--json")
        return told

    def incident(self, cause: str, *states: str) -> Dict[str, Any]:
        """Wait for an incident of this cause in one of these states."""

        def find() -> Optional[Dict[str, Any]]:
            return next((i for i in self.incidents() if i["cause"] == cause and i["state"] in states), None)

        return self.wait(f"incident {cause} {' or '.join(states)}", find)

    def wait(self, what: str, condition: Callable[[], Optional[T]], deadline_s: float = 60.0) -> T:
        """The first true answer.  Raises AssertionError with what the agent has told until then.

        Not asked for all the time: the answer costs a processor's second that the agent is to have.
        """
        try:
            return wait_until(what, condition, deadline_s, every_s=1.0)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._story()}") from None

    def _story(self) -> str:
        brief = [
            f"{one['id']} {one['cause']} {one['state']}: {one['next']}"
            + "".join(f"\n  {act['name']} {act['outcome']}: {act['detail']}" for act in one["actions"])
            for one in self.incidents()
        ]
        return "\n".join([*brief, journal(AGENT, 25)])

    def act(self, remedy: str, incident: str, *options: str) -> Dict[str, Any]:
        """Act by a person's hand, as confined as the unit that acts for the agent; what became of it."""
        command = ("pull-watchdog", "act", remedy, "--incident", incident, "--json", *options)
        confined = [f"--property={line}" for line in _confinement()]
        told: Dict[str, Any] = run_json("systemd-run", "--quiet", "--wait", "--pipe", *confined, *command)
        return told

    # --- the runtime ----------------------------------------------------------

    @property
    def dockerd(self) -> int:
        return main_pid(DOCKER)

    def reference(self, image: images.Image) -> str:
        self.registry.publish(image)
        return self.registry.reference(image)

    def pull(self, image: images.Image) -> subprocess.Popen[bytes]:
        """Start `docker pull`, as a user does."""
        return subprocess.Popen(
            ["docker", "pull", self.reference(image)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def has(self, image: images.Image) -> bool:
        listed = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}")
        return self.registry.reference(image) in listed.split()

    def hung(self) -> int:
        """Wait until an extraction stands still; the process that decompresses."""
        wait_until("the pull stands still", lambda: sight.stands_still(self.dockerd, 0.5), 120.0)
        return sight.decompressors(self.dockerd)[0]

    def restart_docker(self) -> None:
        """A fresh daemon, whatever hung in the old one, and a start limit that is not used up."""
        systemctl("reset-failed", DOCKER)
        systemctl("restart", DOCKER)

    def limit_starts(self, interval: str) -> None:
        """Forbid another start of docker within this time; its own minute is long to wait for."""
        START_LIMIT.parent.mkdir(parents=True, exist_ok=True)
        START_LIMIT.write_text(f"[Unit]\nStartLimitIntervalSec={interval}\n")
        systemctl("daemon-reload")

    def clean(self) -> None:
        """Nothing hangs, nothing is substituted, no image is there."""
        if self._only_observes:
            return
        self.unpigz.disarm()
        systemctl("stop", AGENT)
        run("pull-watchdog", "revert", "--all", check=False)
        if sight.decompressors(self.dockerd):
            self.restart_docker()
        for pid in _running(self.unpigz.path):  # what a docker that was restarted has left
            kill(pid)
        self.unpigz.remove()
        for image in run("docker", "images", "-q").split():
            run("docker", "rmi", "-f", image, check=False)


def _running(program: Path) -> List[int]:
    """The processes that run this file."""
    pids = []
    for link in Path("/proc").glob("[0-9]*/exe"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(program):
                pids.append(int(link.parent.name))
    return pids


def _confinement() -> List[str]:
    """The settings that confine the unit which acts."""
    lines = (UNITS / "pull-watchdog-act@.service").read_text().partition("[Service]")[2].splitlines()
    settings = [line for line in lines if "=" in line and not line.startswith("#")]
    return [line for line in settings if not line.startswith(NOT_OF_CONFINEMENT)]
