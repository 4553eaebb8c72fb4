"""A hang in a lab, its incident as the agent would record it, and the command that acts on it.

The incident is made here from what stands still in the lab, so that each remedy
meets a real process that is really hung, and almost-such ones.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from tests.lab import images, sight
from tests.lab.agent import Agent
from tests.lab.clients import Client
from tests.lab.faults import Fault, Form
from tests.lab.lab import Lab
from tests.lab.processes import SYSTEM_PATH, send, wait_until
from watchdog.act.ledger import Ledger
from watchdog.act.request import Request
from watchdog.core.causes.finding import Cause, process_name
from watchdog.core.extraction import BLOB_AHEAD_MAX_BYTES
from watchdog.core.incident import Incident, Owed, State, incident_id
from watchdog.core.observation import BlobSample, LedgerEntry, ProcessSample
from watchdog.core.pull import AffectedPull
from watchdog.core.record import from_record, to_record
from watchdog.host import cgroup, proc
from watchdog.host.sampling import sample_stage

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"


@dataclass
class Scene:
    """A lab with a configuration of its own; `agent` is not started."""

    lab: Lab
    agent: Agent
    clients: List[Client] = field(default_factory=list)

    @property
    def ledger(self) -> Sequence[LedgerEntry]:
        return Ledger(self.agent.state_dir).read()

    # --- hangs ------------------------------------------------------------------

    def hang(
        self,
        fault: Fault = Fault.STOP,
        form: Form = Form.BINARY,
        image: images.Image = images.SMALL,
        runs: int = 1,
    ) -> int:
        """Start a pull and wait until its decompressor stands still; the pid that does the work."""
        self.lab.unpigz.install(form)
        self.lab.unpigz.arm(fault, runs=runs)
        self.clients.append(self.lab.pull(image))
        wait_until(lambda: self.lab.dockerd.stands_still(0.5), "the extraction stands still")
        return self.lab.dockerd.decompressors[-1]

    def slow_pull(self) -> int:
        """Start a pull whose decompressor goes on at 50 KB/s; its pid."""
        self.lab.unpigz.install()
        self.lab.unpigz.arm(Fault.SLOW, after_bytes=0, runs=1)
        self.clients.append(self.lab.pull(images.SMALL))
        wait_until(lambda: self.lab.dockerd.decompressors, "the extraction has begun")
        return self.lab.dockerd.decompressors[-1]

    def stop(self, pid: int) -> None:
        """SIGSTOP, and wait until it has stopped."""
        send(pid, signal.SIGSTOP)
        wait_until(lambda: sight.state(pid) == "T", f"process {pid} is stopped")

    def pull_is_done(self, image: images.Image = images.SMALL) -> bool:
        """Wait for the newest client; whether the image is there."""
        return self.clients[-1].wait() == 0 and self.lab.has(image)

    # --- what the agent would record -----------------------------------------------

    def record(self, cause: Cause, culprit: int, **changes: Any) -> str:
        """Write the incident of a hung process where `act` looks for it; its id."""
        daemon = sample(self.lab.dockerd.pid)
        stage = stage_of(self.lab.dockerd.pid)
        subject = sample(culprit)
        fields: Dict[str, Any] = {
            "id": incident_id(proc.boot_id(), "lab", process_name(subject)),
            "runtime": "lab",
            "cause": cause,
            "state": State.CONFIRMED,
            "culprit": subject,
            "evidence": (),
            "opened_wall_ns": time.time_ns(),
            "confirmed_wall_ns": time.time_ns(),
            "command": str(self.lab.unpigz.path),
            "stage": stage if any(one.key == subject.key for one in stage) else (subject,),
            "decompressor": stage,
            "daemon": daemon,
            "blob": blob_of(self.lab.dockerd.pid, stage),
        }
        return self.write(Incident(**{**fields, **changes}))

    def write(self, incident: Incident, boot_id: Optional[str] = None) -> str:
        """Write an incident's record as it is."""
        folder = self.agent.run_dir / "incidents"
        folder.mkdir(exist_ok=True)
        text = json.dumps(to_record(incident, boot_id or proc.boot_id()))
        (folder / f"{incident.id}.json").write_text(text)
        return incident.id

    def read(self, incident: str) -> Incident:
        """The incident that was written."""
        path = self.agent.run_dir / "incidents" / f"{incident}.json"
        return from_record(json.loads(path.read_text()))

    def pull_of(self, image: images.Image, client: Client, connected: bool = True) -> AffectedPull:
        """A pull as the agent would know it."""
        return AffectedPull(
            image=self.lab.registry.reference(image),
            digest=images.build(image).digest,
            client=proc.identify(client.pid),
            connected=connected,
            layer_bytes=sum(layer.size_bytes for layer in image.layers),
        )

    def owe(self, incident: str, *pulls: AffectedPull) -> None:
        """Let the record say that our kill has ended these pulls and that nobody else brings them."""
        known = self.read(incident)
        owed = tuple(Owed(one, gone_samples=2) for one in pulls)
        self.write(replace(known, pulls=pulls, owed=owed))

    # --- acting ---------------------------------------------------------------------

    def act(self, remedy: str, incident: str, *options: str, crash: str = "") -> Dict[str, Any]:
        """What `pull-watchdog act` printed; nothing with `crash`, where it kills itself at that point."""
        done = self.run("act", remedy, "--incident", incident, "--json", *options, crash=crash)
        if crash:
            assert done.returncode == -9, done.stderr.decode()
            return {}
        assert done.stdout, done.stderr.decode()
        answer: Dict[str, Any] = json.loads(done.stdout)
        return answer

    def run(
        self, *arguments: str, crash: str = "", before: Sequence[str] = (), stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of our commands, perhaps under another program."""
        environment: Mapping[str, str] = {"PATH": SYSTEM_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
        if crash:
            environment = {**environment, "PULL_WATCHDOG_TEST_CRASH": crash}
        words = [*before, PYTHON, "-m", "watchdog", *arguments, "-c", str(self.agent.config)]
        return subprocess.run(
            words,
            cwd=PROJECT,
            env=dict(environment),
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def ask(self, request: Request) -> Dict[str, Any]:
        """Ask for something as the agent does; the answer."""
        answer: Dict[str, Any] = json.loads(self.run("perform", stdin=request.to_json()).stdout)
        return answer

    def act_traced(self, calls: str, remedy: str, incident: str, crash: str = "") -> List[str]:
        """Act under strace; a line for each of these system calls that succeeded: an independent witness."""
        log = self.lab.root / f"strace-{time.monotonic_ns()}"
        before = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}"]
        self.run("act", remedy, "--incident", incident, "--json", crash=crash, before=before)
        return [line for line in log.read_text().splitlines() if line.endswith("= 0")]

    def changes(self) -> Dict[str, str]:
        """All files outside of the daemon's data that an action could have changed, with their content."""
        places = [self.agent.folder, self.lab.dockerd.early, self.lab.dockerd.programs]
        files = (path for place in places for path in place.rglob("*") if path.is_symlink() or path.is_file())
        found = {str(path): content_of(path) for path in files}
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found["mounts"] = str([line for line in mounts if "pigz" in line or self.lab.root.name in line])
        found["environment"] = self.lab.dockerd.environment.read_text()
        return found


def content_of(path: Path) -> str:
    return str(path.readlink()) if path.is_symlink() else repr(path.read_bytes())


def sample(pid: int) -> ProcessSample:
    return sample_stage(proc.identify(pid), cgroup.find_hierarchies())


def blob_of(daemon_pid: int, stage: Sequence[ProcessSample]) -> Optional[BlobSample]:
    """The download file that the stage reads from; None for a load or a build."""
    for blob in sight.blob_files(daemon_pid):
        if any(0 <= blob.position_bytes - (one.read_bytes or 0) <= BLOB_AHEAD_MAX_BYTES for one in stage):
            return BlobSample(blob.name, blob.size_bytes, blob.position_bytes)
    return None


def stage_of(daemon_pid: int) -> Sequence[ProcessSample]:
    """The decompressing stage, the daemon's own child first."""
    pids = sight.decompressors(daemon_pid)
    return tuple(sample(pid) for pid in pids)
